//! Coalescing: calls that arrive while a batch runs form the next batch (a data loader).
//!
//! A statement costs a database several times what one more row in it does. The coalescer never delays a call: the first
//! one runs immediately, as a batch of one. Each call has its own result, and a call that fails does not fail others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// With two, a batch that waits for a lock does not stop all calls. With more, batches stay small and use connections
/// that other statements need.
const MAX_CONCURRENT_BATCHES: usize = 2;
/// Some milliseconds of work.
const MAX_BATCH: usize = 100;

/// An operation on several items at once.
#[async_trait]
pub trait Batch: Send + Sync + 'static {
    /// The argument of one call.
    type Item: Clone + Send + Sync + 'static;
    /// The result of one call.
    type Output: Send + 'static;
    /// The error of a batch.
    type Error: Clone + Send + 'static;

    /// Processes all `items` in one transaction and returns one output for each, in their order.
    async fn run(&self, items: &[Self::Item]) -> Result<Vec<Self::Output>, Self::Error>;

    /// Whether one of the items may have caused `error`. If so, each item is retried in a batch of its own.
    fn is_caused_by_item(error: &Self::Error) -> bool;
}

/// Why a call has no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError<E> {
    /// The queue was full, or the call waited in it for longer than [`Limits::wait`].
    Timeout,
    /// The batch ended without an output for this call, for example because the runtime stops.
    NoOutput,
    /// The error of the batch.
    Batch(E),
}

/// Collects calls into batches.
pub struct Coalescer<B: Batch> {
    batch: B,
    /// The runtime of queued batches, which outlives those of the callers.
    runtime: Handle,
    limits: Limits,
    queue: Mutex<Queue<B>>,
    workers: Arc<Semaphore>,
}

/// The bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of queued calls.
    pub capacity: usize,
    /// The maximum time of a call in the queue.
    pub wait: Duration,
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

type Receiver<B> = oneshot::Receiver<CallResult<B>>;
type CallResult<B> = Result<<B as Batch>::Output, CallError<<B as Batch>::Error>>;

impl<B: Batch> Coalescer<B> {
    /// Creates a coalescer that runs queued batches on `runtime`.
    #[must_use]
    pub fn new(batch: B, limits: Limits, runtime: Handle) -> Arc<Self> {
        let queue = Mutex::new(Queue { calls: VecDeque::new(), next_ticket: 0 });
        let workers = Arc::new(Semaphore::new(MAX_CONCURRENT_BATCHES));
        Arc::new(Self { batch, runtime, limits, queue, workers })
    }

    /// Processes `item`, possibly in one batch with others. Dropping the future before its batch starts cancels the call.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(self: &Arc<Self>, item: B::Item) -> CallResult<B> {
        if let Some(_turn) = self.turn_at_once() {
            return only(self.batch.run(&[item]).await);
        }
        let (ticket, mut result) = self.enqueue(item)?;
        let result = match timeout(self.limits.wait, &mut result).await {
            Ok(result) => result,
            Err(_) if self.cancel(ticket) => return Err(CallError::Timeout),
            // Its batch runs.
            Err(_) => result.await,
        };
        result.unwrap_or(Err(CallError::NoOutput))
    }

    /// Returns a turn on the caller's own task if the queue is empty: this saves two thread switches.
    fn turn_at_once(self: &Arc<Self>) -> Option<Turn<B>> {
        let queue = self.queue();
        let permit =
            if queue.calls.is_empty() { Arc::clone(&self.workers).try_acquire_owned().ok()? } else { return None };
        Some(Turn { coalescer: Arc::clone(self), permit: Some(permit) })
    }

    fn enqueue(self: &Arc<Self>, item: B::Item) -> Result<(u64, Receiver<B>), CallError<B::Error>> {
        let mut queue = self.queue();
        if self.limits.capacity <= queue.calls.len() {
            queue.calls.retain(|call| !call.result.is_closed());
            if self.limits.capacity <= queue.calls.len() {
                return Err(CallError::Timeout);
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

    /// Removes a call from the queue. Returns false if its batch has started.
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

    /// Takes the calls of the next batch. If there are none, releases the worker's permit under the lock, so that the next
    /// call starts a worker.
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
            Err(error) if 1 < items.len() && B::is_caused_by_item(&error) => {
                for (item, result) in items.iter().zip(results) {
                    drop(result.send(only(self.batch.run(std::slice::from_ref(item)).await)));
                }
            }
            Err(error) => {
                for result in results {
                    drop(result.send(Err(CallError::Batch(error.clone()))));
                }
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<B>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permit of a call that runs on its caller's task. When it is dropped, a worker takes over the calls that arrived
/// meanwhile.
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
fn only<T, E>(outputs: Result<Vec<T>, E>) -> Result<T, CallError<E>> {
    outputs.map_err(CallError::Batch)?.into_iter().next().ok_or(CallError::NoOutput)
}

impl<B: Batch> std::fmt::Debug for Coalescer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coalescer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
