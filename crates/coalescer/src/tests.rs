//! The coalescer over a batch that records its items and waits for a permit of the test.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

const LIMITS: Limits = Limits { capacity: 4, wait: Duration::from_secs(5) };

/// Doubles numbers. A batch with a 13 fails because of it; one with a 0 fails for another reason.
struct Double {
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl Batch for Double {
    type Item = u32;
    type Output = u32;
    type Error = u32;

    async fn run(&self, items: &[u32]) -> Result<Vec<u32>, u32> {
        self.batches.lock().unwrap().push(items.to_vec());
        self.gate.acquire().await.unwrap().forget();
        match items.iter().find(|item| [0, 13].contains(*item)) {
            Some(item) => Err(*item),
            None => Ok(items.iter().map(|item| item * 2).collect()),
        }
    }

    fn is_caused_by_item(error: &u32) -> bool {
        *error == 13
    }
}

struct Test {
    coalescer: Arc<Coalescer<Double>>,
    batches: Arc<Mutex<Vec<Vec<u32>>>>,
    gate: Arc<Semaphore>,
}

impl Test {
    /// `open` is the number of batches that may end.
    fn new(limits: Limits, open: usize) -> Self {
        let (batches, gate) = (Arc::default(), Arc::new(Semaphore::new(open)));
        let batch = Double { batches: Arc::clone(&batches), gate: Arc::clone(&gate) };
        Self { coalescer: Coalescer::new(batch, limits, Handle::current()), batches, gate }
    }

    /// Starts a call and lets it progress as far as it can.
    async fn call(&self, item: u32) -> JoinHandle<Result<u32, CallError<u32>>> {
        let coalescer = Arc::clone(&self.coalescer);
        let call = tokio::spawn(async move { coalescer.call(item).await });
        settle().await;
        call
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.batches.lock().unwrap().clone()
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lone_call_runs_immediately_as_a_batch_of_one() {
    let test = Test::new(LIMITS, 1);
    assert_eq!(test.coalescer.call(4).await.unwrap(), 8);
    assert_eq!(test.batches(), [[4]]);
}

#[tokio::test]
async fn calls_during_running_batches_form_the_next_one() {
    let test = Test::new(LIMITS, 0);
    let mut calls = vec![];
    for item in [1, 2, 3, 4, 5] {
        calls.push(test.call(item).await);
    }
    assert_eq!(test.batches(), [vec![1], vec![2]], "two run concurrently, and neither is delayed");

    test.gate.add_permits(5);

    for (call, expected) in calls.into_iter().zip([2, 4, 6, 8, 10]) {
        assert_eq!(call.await.unwrap().unwrap(), expected);
    }
    assert_eq!(test.batches(), [vec![1], vec![2], vec![3, 4, 5]]);
}

#[tokio::test]
async fn error_of_a_batch_is_retried_one_by_one() {
    let test = Test::new(LIMITS, 0);
    let (first, second) = (test.call(1).await, test.call(2).await);
    let (bad, good) = (test.call(13).await, test.call(7).await);

    test.gate.add_permits(5);

    assert_eq!(bad.await.unwrap(), Err(CallError::Batch(13)));
    assert_eq!(good.await.unwrap().unwrap(), 14);
    assert_eq!(test.batches()[2..], [vec![13, 7], vec![13], vec![7]]);
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
}

#[tokio::test]
async fn error_that_no_item_caused_is_not_retried() {
    let test = Test::new(LIMITS, 0);
    let running = [test.call(1).await, test.call(2).await];
    let calls = [test.call(0).await, test.call(7).await];

    test.gate.add_permits(5);

    for call in calls {
        assert_eq!(call.await.unwrap(), Err(CallError::Batch(0)));
    }
    assert_eq!(test.batches().len(), 3);
    for call in running {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn cancelled_call_in_the_queue_is_not_run() {
    let test = Test::new(LIMITS, 0);
    let running = [test.call(1).await, test.call(2).await];
    let (cancelled, other) = (test.call(3).await, test.call(4).await);
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());

    test.gate.add_permits(3);

    assert_eq!(other.await.unwrap().unwrap(), 8);
    assert_eq!(test.batches()[2..], [vec![4]]);
    for call in running {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn cancelled_running_call_does_not_stop_others() {
    let test = Test::new(LIMITS, 0);
    let running = [test.call(1).await, test.call(2).await];
    running[0].abort();
    let next = test.call(3).await;

    test.gate.add_permits(3);

    assert_eq!(next.await.unwrap().unwrap(), 6);
}

#[tokio::test]
async fn full_queue_rejects_calls_until_cancelled_ones_make_room() {
    let test = Test::new(LIMITS, 0);
    let _running = [test.call(1).await, test.call(2).await];
    let mut waiting = vec![];
    for item in 0..4 {
        waiting.push(test.call(30 + item).await);
    }

    assert_eq!(test.coalescer.call(20).await, Err(CallError::Timeout));
    waiting[0].abort();
    settle().await;
    let late = test.call(21).await;

    test.gate.add_permits(4);
    assert_eq!(late.await.unwrap().unwrap(), 42);
}

#[tokio::test(start_paused = true)]
async fn call_that_waits_too_long_times_out_and_is_not_run() {
    let test = Test::new(LIMITS, 0);
    let running = [test.call(1).await, test.call(2).await];

    assert_eq!(test.coalescer.call(3).await, Err(CallError::Timeout));

    test.gate.add_permits(3);
    for call in running {
        call.await.unwrap().unwrap();
    }
    settle().await;
    assert_eq!(test.batches(), [vec![1], vec![2]]);
}
