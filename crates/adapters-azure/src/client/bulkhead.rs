//! A bulkhead: bounds concurrent calls and the queue behind them, so that one kind of caller cannot block another.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::error::{AzureError, ErrorDetail};

/// Queue length per slot. With calls of 200 ms the last in the queue waits about 3 s.
const QUEUE_PER_SLOT: usize = 16;

pub(crate) struct Bulkhead {
    slots: Semaphore,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// A position in the queue, released on drop.
struct QueueSlot<'a>(&'a AtomicUsize);

impl Bulkhead {
    pub(crate) fn new(max_concurrent: usize) -> Self {
        Self {
            slots: Semaphore::new(max_concurrent),
            waiting: AtomicUsize::new(0),
            max_waiting: max_concurrent * QUEUE_PER_SLOT,
        }
    }

    /// Waits for a slot in order of arrival, until `deadline`.
    ///
    /// Returns `Overloaded` if the queue is full or the deadline passes while waiting. Neither reflects the health of
    /// Azure DevOps.
    pub(crate) async fn acquire(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, AzureError> {
        if deadline <= Instant::now() {
            return Err(AzureError::TimedOut(ErrorDetail::new("the deadline passed before the call started")));
        }
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let overloaded = || AzureError::overloaded("too many calls are queued");
        let _queued = self.enqueue().ok_or_else(overloaded)?;
        match timeout_at(deadline, self.slots.acquire()).await {
            Ok(Ok(slot)) if Instant::now() < deadline => Ok(slot),
            _ => Err(overloaded()),
        }
    }

    fn enqueue(&self) -> Option<QueueSlot<'_>> {
        let increment = |waiting: usize| (waiting < self.max_waiting).then_some(waiting + 1);
        let entered = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, increment);
        entered.ok().map(|_| QueueSlot(&self.waiting))
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn full_queue_rejects_the_next_call_and_drains_completely() {
        let bulkhead = Arc::new(Bulkhead::new(1));
        let deadline = Instant::now() + Duration::from_mins(1);
        let held = bulkhead.acquire(deadline).await.unwrap();
        let queued: Vec<_> = (0..QUEUE_PER_SLOT)
            .map(|_| {
                let bulkhead = Arc::clone(&bulkhead);
                tokio::spawn(async move { bulkhead.acquire(deadline).await.map(drop) })
            })
            .collect();
        while bulkhead.waiting.load(Ordering::Relaxed) < QUEUE_PER_SLOT {
            tokio::task::yield_now().await;
        }

        assert!(matches!(bulkhead.acquire(deadline).await, Err(AzureError::Overloaded { .. })));

        drop(held);
        for turn in queued {
            turn.await.unwrap().unwrap();
        }
        assert_eq!(bulkhead.waiting.load(Ordering::Relaxed), 0);
        assert!(bulkhead.acquire(deadline).await.is_ok());
    }

    #[tokio::test]
    async fn queued_call_that_times_out_or_is_cancelled_leaves_the_queue() {
        let bulkhead = Bulkhead::new(1);
        let _held = bulkhead.acquire(Instant::now() + Duration::from_mins(1)).await.unwrap();

        let overdue = bulkhead.acquire(Instant::now() + Duration::from_millis(20)).await;
        let dropped =
            tokio::time::timeout(Duration::from_millis(20), bulkhead.acquire(Instant::now() + Duration::from_mins(1)));

        assert!(matches!(overdue, Err(AzureError::Overloaded { .. })));
        assert!(dropped.await.is_err());
        assert_eq!(bulkhead.waiting.load(Ordering::Relaxed), 0);
    }
}
