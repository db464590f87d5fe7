//! A lane: so many at once, so many in the queue behind them, and no more. Those in one lane cannot hold up another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::error::{Failure, Seen};

/// How many may wait for each place of a lane. At 200 ms for a call the last of them waits for some 3 s.
const QUEUE_PER_SLOT: usize = 16;
/// When a retry makes sense for those that a full queue turns away.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Lane {
    slots: Semaphore,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// A place in the queue, until it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl Lane {
    pub(crate) fn new(width: usize) -> Self {
        Self { slots: Semaphore::new(width), waiting: AtomicUsize::new(0), max_waiting: width * QUEUE_PER_SLOT }
    }

    /// Waits for a slot until `deadline`, in the order of arrival; fails at once when the queue is full. Both are our own
    /// doing and say nothing about Azure.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let (Ok(slot), true) = (self.slots.try_acquire(), Instant::now() < deadline) {
            return Ok(slot);
        }
        let crowded = || Failure::unavailable(RETRY_AFTER, "too many look-ups are waiting");
        let _place = self.queue().ok_or_else(crowded)?;
        match timeout_at(deadline, self.slots.acquire()).await {
            Ok(Ok(slot)) if Instant::now() < deadline => Ok(slot),
            Ok(_) => Err(Failure::TimedOut(Seen::new("no time left for the call"))),
            Err(_) => Err(crowded()),
        }
    }

    fn queue(&self) -> Option<Place<'_>> {
        let place = |waiting: usize| (waiting < self.max_waiting).then_some(waiting + 1);
        let entered = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, place);
        entered.ok().map(|_| Place(&self.waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_drains_in_order_of_arrival() {
        let lane = Arc::new(Lane::new(1));
        let deadline = Instant::now() + Duration::from_mins(1);
        let held = lane.enter(deadline).await.unwrap();
        let queued: Vec<_> = (0..QUEUE_PER_SLOT)
            .map(|_| {
                let lane = Arc::clone(&lane);
                tokio::spawn(async move { lane.enter(deadline).await.map(drop) })
            })
            .collect();
        while lane.waiting.load(Ordering::Relaxed) < QUEUE_PER_SLOT {
            tokio::task::yield_now().await;
        }

        assert!(matches!(lane.enter(deadline).await, Err(Failure::Unavailable { retry_after: Some(_), .. })));

        drop(held);
        for turn in queued {
            turn.await.unwrap().unwrap();
        }
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);
        assert!(lane.enter(deadline).await.is_ok());
    }

    #[tokio::test]
    async fn waiting_ends_at_the_deadline_or_with_the_caller_and_leaves_no_trace() {
        let lane = Lane::new(1);
        let _held = lane.enter(Instant::now() + Duration::from_mins(1)).await.unwrap();

        let overdue = lane.enter(Instant::now() + Duration::from_millis(20)).await;
        let dropped =
            tokio::time::timeout(Duration::from_millis(20), lane.enter(Instant::now() + Duration::from_mins(1)));

        assert!(matches!(overdue, Err(Failure::Unavailable { retry_after: Some(_), .. })));
        assert!(dropped.await.is_err());
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);
    }
}
