//! One readiness result for all workers: requests for `/health` need no token, so their number must not decide how many
//! connections to the database they take.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::{Error, Readiness, Service};
use tokio::sync::watch;
use tracing::Instrument as _;

/// How long a result is returned without a new check.
const TTL: Duration = Duration::from_secs(1);

/// The last check of the process: in flight, finished, or aborted. A clone shares it.
#[derive(Clone, Default)]
pub struct LastCheck(Arc<Mutex<Option<watch::Receiver<Option<Finished>>>>>);

/// What a check found.
#[derive(Clone)]
struct Finished {
    at: Instant,
    error: Option<Arc<Error>>,
}

/// A [`Readiness`] that runs at most one check at a time for all workers and returns its result for [`TTL`].
///
/// The check is a task of its own: a client that hangs up cancels only its own wait.
pub struct CachedReadiness {
    inner: Arc<dyn Readiness>,
    last: LastCheck,
}

impl CachedReadiness {
    /// Checks with `inner` whenever `last` is too old.
    #[must_use]
    pub const fn new(inner: Arc<dyn Readiness>, last: LastCheck) -> Self {
        Self { inner, last }
    }

    /// The check to wait for: the last one while it is in flight or young enough, else a new one.
    fn current(&self) -> watch::Receiver<Option<Finished>> {
        let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(check) = last.as_ref().filter(|check| is_usable(check)) {
            return check.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let inner = self.inner.clone();
        let check = async move {
            let error = inner.check().await.err().map(Arc::new);
            if let Some(error) = &error {
                tracing::warn!(?error, "readiness check failed");
            }
            sender.send_replace(Some(Finished { at: Instant::now(), error }));
        };
        tokio::spawn(check.in_current_span());
        *last = Some(receiver.clone());
        receiver
    }
}

#[async_trait]
impl Readiness for CachedReadiness {
    async fn check(&self) -> Result<(), Error> {
        let mut check = self.current();
        let finished = check.wait_for(Option::is_some).await.map(|finished| finished.clone());
        match finished {
            Ok(Some(Finished { error: None, .. })) => Ok(()),
            Ok(Some(Finished { error: Some(error), .. })) => Err(unavailable(error)),
            Ok(None) | Err(_) => Err(unavailable("the check was aborted")),
        }
    }
}

/// Whether a check is in flight or young enough. A sender that is gone without a result belongs to a task that
/// panicked, or to a worker that ended.
fn is_usable(check: &watch::Receiver<Option<Finished>>) -> bool {
    // Before the result is looked at: a sender sends first and is dropped then.
    let is_open = check.has_changed().is_ok();
    check.borrow().as_ref().map_or(is_open, |finished| finished.at.elapsed() < TTL)
}

fn unavailable(cause: impl Into<domain::Cause>) -> Error {
    Error::Unavailable { service: Service::Database, retry_after: None, cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// A database that responds as often as `responses` permits, and counts its checks.
    struct Slow {
        checks: AtomicUsize,
        responses: Semaphore,
        outcome: fn() -> Result<(), Error>,
    }

    impl Slow {
        fn new(responses: usize, outcome: fn() -> Result<(), Error>) -> Arc<Self> {
            Arc::new(Self { checks: AtomicUsize::new(0), responses: Semaphore::new(responses), outcome })
        }

        fn checks(&self) -> usize {
            self.checks.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl Readiness for Slow {
        async fn check(&self) -> Result<(), Error> {
            self.checks.fetch_add(1, Ordering::SeqCst);
            self.responses.acquire().await.unwrap().forget();
            (self.outcome)()
        }
    }

    /// The readiness of two workers of one process.
    fn workers(database: &Arc<Slow>) -> [Arc<CachedReadiness>; 2] {
        let last = LastCheck::default();
        [(); 2].map(|()| Arc::new(CachedReadiness::new(database.clone(), last.clone())))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn concurrent_requests_of_all_workers_share_one_check() {
        let database = Slow::new(0, || Ok(()));
        let workers = workers(&database);
        let waiting: Vec<_> = (0..2000)
            .map(|n| {
                let worker = workers[n % 2].clone();
                tokio::spawn(async move { worker.check().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(database.checks(), 1);

        database.responses.add_permits(1);

        for check in waiting {
            assert!(check.await.unwrap().is_ok());
        }
        assert_eq!(database.checks(), 1);
    }

    #[tokio::test]
    async fn result_is_returned_until_it_is_too_old() {
        let database = Slow::new(2, || Ok(()));
        let [first, second] = workers(&database);
        for readiness in [&first, &second, &first] {
            assert!(readiness.check().await.is_ok());
        }
        assert_eq!(database.checks(), 1);

        tokio::time::sleep(TTL).await;

        assert!(second.check().await.is_ok() && first.check().await.is_ok());
        assert_eq!(database.checks(), 2);
    }

    #[tokio::test]
    async fn failure_reaches_every_waiter_and_is_remembered() {
        let database = Slow::new(1, || Err(Error::internal("gone")));
        let [first, second] = workers(&database);

        let (one, other) = tokio::join!(first.check(), second.check());
        let later = first.check().await;

        for failed in [one, other, later] {
            let Err(Error::Unavailable { service: Service::Database, cause, .. }) = failed else {
                panic!("{failed:?}")
            };
            assert_eq!(cause.to_string(), "internal error");
        }
        assert_eq!(database.checks(), 1);
    }

    #[tokio::test]
    async fn client_that_hangs_up_cancels_neither_the_check_nor_the_slot() {
        let database = Slow::new(0, || Ok(()));
        let [first, second] = workers(&database);
        let starter = tokio::spawn({
            let first = first.clone();
            async move { first.check().await }
        });
        while database.checks() == 0 {
            tokio::task::yield_now().await;
        }
        let waiter = tokio::spawn(async move { second.check().await });
        tokio::task::yield_now().await;

        starter.abort();
        assert!(starter.await.unwrap_err().is_cancelled());
        database.responses.add_permits(1);

        assert!(waiter.await.unwrap().is_ok());
        assert!(first.check().await.is_ok());
        assert_eq!(database.checks(), 1);
    }

    #[tokio::test]
    async fn check_that_panics_is_unavailable_and_the_next_request_checks_again() {
        static HAS_PANICKED: AtomicUsize = AtomicUsize::new(0);
        let database = Slow::new(2, || {
            assert_eq!(HAS_PANICKED.fetch_add(1, Ordering::SeqCst), 1, "the first check");
            Ok(())
        });
        let [first, second] = workers(&database);

        let (one, other) = tokio::join!(first.check(), second.check());
        assert!(matches!((one, other), (Err(Error::Unavailable { .. }), Err(Error::Unavailable { .. }))));

        assert!(first.check().await.is_ok());
        assert_eq!(database.checks(), 2);
    }
}
