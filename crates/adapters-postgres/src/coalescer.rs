//! Coalescing: calls that arrive while a statement runs are carried out together by the next one (a data loader).
//!
//! A statement costs PostgreSQL and the driver several times what one more row in it does. No call waits for company:
//! the first one runs at once, as a batch of one. Each call has its own result, and one that fails does not fail others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DbErr;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::db_error;

/// Batches that run at once: one more than one, so that a batch that waits for a lock does not stop all calls; few, so
/// that batches form and connections are left for other statements.
const MAX_CONCURRENT_BATCHES: usize = 2;
/// Calls in one batch at most: some milliseconds of work.
const MAX_BATCH: usize = 100;

/// What calls are carried out by.
#[async_trait]
pub(crate) trait Batch: Send + Sync + 'static {
    /// What one call asks for.
    type Item: Clone + Send + Sync + 'static;
    /// What one call gets.
    type Output: Send + 'static;

    /// Carries out all `items` in one transaction and returns one output for each, in their order.
    async fn run(&self, items: &[Self::Item]) -> Result<Vec<Self::Output>, DbErr>;
}

/// Collects calls into batches.
pub(crate) struct Coalescer<B: Batch> {
    batch: B,
    /// Where batches run. It outlives the runtimes of the callers.
    runtime: Handle,
    limits: Limits,
    queue: Mutex<Queue<B>>,
    workers: Arc<Semaphore>,
}

/// How many calls wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Calls in the queue at most.
    pub(crate) capacity: usize,
    /// The longest time in the queue.
    pub(crate) wait: Duration,
}

struct Queue<B: Batch> {
    calls: VecDeque<Call<B>>,
    next_ticket: u64,
}

struct Call<B: Batch> {
    ticket: u64,
    item: B::Item,
    result: oneshot::Sender<CallResult<B>>,
}

type CallResult<B> = Result<<B as Batch>::Output, DbErr>;

impl<B: Batch> Coalescer<B> {
    pub(crate) fn new(batch: B, limits: Limits, runtime: Handle) -> Arc<Self> {
        let queue = Mutex::new(Queue { calls: VecDeque::new(), next_ticket: 0 });
        let workers = Arc::new(Semaphore::new(MAX_CONCURRENT_BATCHES));
        Arc::new(Self { batch, runtime, limits, queue, workers })
    }

    /// Carries out `item`, perhaps together with others. A caller that drops the future before its batch begins is
    /// withdrawn.
    ///
    /// # Errors
    /// A pool timeout when the queue is full or the call waited for too long; otherwise the error of its statement.
    pub(crate) async fn call(self: &Arc<Self>, item: B::Item) -> Result<B::Output, DbErr> {
        if let Some(_turn) = self.turn_at_once() {
            return only(self.batch.run(&[item]).await);
        }
        let (ticket, mut result) = self.enqueue(item)?;
        let result = match timeout(self.limits.wait, &mut result).await {
            Ok(result) => result,
            Err(_) if self.cancel(ticket) => return Err(db_error::pool_timed_out()),
            // Its batch runs, which is bounded.
            Err(_) => result.await,
        };
        result.unwrap_or_else(|_| Err(db_error::pool_closed()))
    }

    /// A turn on the caller's own task, if no call waits for one: it saves two switches of threads.
    fn turn_at_once(self: &Arc<Self>) -> Option<Turn<B>> {
        let queue = self.queue();
        let permit =
            if queue.calls.is_empty() { Arc::clone(&self.workers).try_acquire_owned().ok()? } else { return None };
        Some(Turn { coalescer: Arc::clone(self), permit: Some(permit) })
    }

    fn enqueue(self: &Arc<Self>, item: B::Item) -> Result<(u64, oneshot::Receiver<CallResult<B>>), DbErr> {
        let mut queue = self.queue();
        if self.limits.capacity <= queue.calls.len() {
            queue.calls.retain(|call| !call.result.is_closed());
            if self.limits.capacity <= queue.calls.len() {
                return Err(db_error::pool_timed_out());
            }
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        let (sender, receiver) = oneshot::channel();
        queue.calls.push_back(Call { ticket, item, result: sender });
        if let Ok(permit) = Arc::clone(&self.workers).try_acquire_owned() {
            self.runtime.spawn(Arc::clone(self).run_worker(permit));
        }
        Ok((ticket, receiver))
    }

    /// Removes a call from the queue; false if its batch has begun.
    fn cancel(&self, ticket: u64) -> bool {
        let mut queue = self.queue();
        let index = queue.calls.iter().position(|call| call.ticket == ticket);
        index.and_then(|index| queue.calls.remove(index)).is_some()
    }

    /// Runs batches until the queue is empty.
    async fn run_worker(self: Arc<Self>, permit: OwnedSemaphorePermit) {
        let mut permit = Some(permit);
        loop {
            let calls = self.next_batch(&mut permit);
            if calls.is_empty() {
                return;
            }
            self.run_batch(calls).await;
        }
    }

    /// Takes the calls of the next batch. If there are none, the worker's permit is returned under the lock, so that the
    /// next call starts a worker.
    fn next_batch(&self, permit: &mut Option<OwnedSemaphorePermit>) -> Vec<Call<B>> {
        let mut queue = self.queue();
        queue.calls.retain(|call| !call.result.is_closed());
        let size = queue.calls.len().min(MAX_BATCH);
        if size == 0 {
            *permit = None;
        }
        queue.calls.drain(..size).collect()
    }

    async fn run_batch(&self, calls: Vec<Call<B>>) {
        let (items, results): (Vec<_>, Vec<_>) = calls.into_iter().map(|call| (call.item, call.result)).unzip();
        match self.batch.run(&items).await {
            Ok(outputs) => {
                for (result, output) in results.into_iter().zip(outputs) {
                    drop(result.send(Ok(output)));
                }
            }
            // One item may be at fault: each gets a statement of its own.
            Err(error) if 1 < items.len() && !db_error::is_unavailable(&error) => {
                for (item, result) in items.iter().zip(results) {
                    drop(result.send(only(self.batch.run(std::slice::from_ref(item)).await)));
                }
            }
            Err(error) => {
                for result in results {
                    drop(result.send(Err(error.clone())));
                }
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<B>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs on its caller's task. Calls that arrived meanwhile are carried out by a worker when it ends, however it
/// ends.
struct Turn<B: Batch> {
    coalescer: Arc<Coalescer<B>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        let queue = self.coalescer.queue();
        let permit = self.permit.take();
        if let Some(permit) = permit
            && !queue.calls.is_empty()
        {
            self.coalescer.runtime.spawn(Arc::clone(&self.coalescer).run_worker(permit));
        }
    }
}

/// The output of a batch of one.
fn only<T>(outputs: Result<Vec<T>, DbErr>) -> Result<T, DbErr> {
    outputs?.into_iter().next().ok_or_else(|| DbErr::Custom("a batch without output".to_owned()))
}

impl<B: Batch> std::fmt::Debug for Coalescer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coalescer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
