//! Runs jobs: claims the lease of each that is due, bounds its run, and stops within a given time.

use std::sync::Arc;
use std::time::Duration;

use domain::{JobClaim, JobLease, JobLeases, JobOutcome};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::job::Job;
use super::metrics::JobMetrics;

/// The longest pause after a claim that failed because the database did not respond.
const CLAIM_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest pause between two claims of a job.
const MIN_CLAIM_INTERVAL: Duration = Duration::from_millis(100);

/// Claims are spread over a tenth of the interval, at most this, so that replicas do not claim all jobs at once.
const MAX_JITTER: Duration = Duration::from_secs(30);

/// The time that ending the leases may take after the grace period.
const LEASE_END_TIMEOUT: Duration = Duration::from_secs(5);

/// All jobs of this process, each in a task of its own.
pub struct JobRunner {
    stop: watch::Sender<Option<Duration>>,
    tasks: JoinSet<()>,
}

impl JobRunner {
    /// Starts `jobs`. A job whose lease another replica holds waits for its turn.
    pub fn start(jobs: Vec<Job>, leases: &Arc<dyn JobLeases>, metrics: &JobMetrics) -> Self {
        let stop = watch::Sender::new(None);
        let mut tasks = JoinSet::new();
        for job in jobs {
            metrics.initialize(&job.schedule);
            let worker = Worker { job, leases: Arc::clone(leases), metrics: metrics.clone(), stop: stop.subscribe() };
            tasks.spawn(worker.work());
        }
        Self { stop, tasks }
    }

    /// Starts the stop: no run begins any more, and one that takes longer than `grace` is cancelled.
    pub fn stop_handle(&self) -> impl Fn(Duration) + 'static {
        let stop = self.stop.clone();
        move |grace| {
            stop.send_replace(Some(grace));
        }
    }

    /// Waits until all jobs have stopped. Without a call of [`stop_handle`](Self::stop_handle) it stops them at once.
    pub async fn join(mut self) {
        let grace = *self.stop.borrow();
        if grace.is_none() {
            self.stop.send_replace(Some(Duration::ZERO));
        }
        let limit = grace.unwrap_or_default() + LEASE_END_TIMEOUT;
        if timeout(limit, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("jobs did not stop in time; their leases end by themselves");
        }
    }
}

struct Worker {
    job: Job,
    leases: Arc<dyn JobLeases>,
    metrics: JobMetrics,
    stop: watch::Receiver<Option<Duration>>,
}

impl Worker {
    async fn work(mut self) {
        // A restart must not hide from the alert how long ago the last success was.
        self.refresh_last_success().await;
        let mut wait = Duration::ZERO;
        while self.pause(wait + self.jitter()).await {
            wait = self.claim_and_run().await.max(MIN_CLAIM_INTERVAL);
        }
    }

    /// Waits, and returns whether the process goes on.
    async fn pause(&mut self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(Option::is_some) => false,
            () = sleep(duration) => true,
        }
    }

    fn jitter(&self) -> Duration {
        (self.job.schedule.interval / 10).min(MAX_JITTER).mul_f64(fastrand::f64())
    }

    /// Runs the job if it is due, and returns the time until the next claim.
    async fn claim_and_run(&mut self) -> Duration {
        let schedule = self.job.schedule;
        let claimed_at = Instant::now();
        match self.leases.claim(&schedule).await {
            Ok(JobClaim::Acquired(lease)) => {
                let outcome = self.run().await;
                self.end(&lease, outcome).await;
                schedule.interval.saturating_sub(claimed_at.elapsed())
            }
            Ok(JobClaim::NotDue { wait }) => {
                self.refresh_last_success().await;
                wait
            }
            Err(error) => {
                self.metrics.count_failure(schedule.name);
                tracing::warn!(job = schedule.name, error = display_chain(&error), "job lease unavailable");
                schedule.interval.min(CLAIM_RETRY_INTERVAL)
            }
        }
    }

    /// Sets the metric to the last success of any replica. If it cannot be read, the metric keeps its value.
    async fn refresh_last_success(&self) {
        if let Ok(Some(ended_at)) = self.leases.last_success(self.job.schedule.name).await {
            self.metrics.set_last_success(self.job.schedule.name, ended_at);
        }
    }

    /// Runs the job once, in a task of its own: a panic of the job ends that run only.
    async fn run(&mut self) -> JobOutcome {
        let schedule = self.job.schedule;
        let started = Instant::now();
        let mut run = JoinSet::new();
        run.spawn((self.job.run)());
        let ended = tokio::select! {
            biased;
            ended = timeout(schedule.max_duration, run.join_next()) => Some(ended),
            () = stopped(&mut self.stop) => None,
        };
        run.shutdown().await;
        let failure = match ended {
            None => {
                tracing::info!(job = schedule.name, "job cancelled by shutdown");
                return JobOutcome::Interrupted;
            }
            Some(Ok(Some(Ok(Ok(()))))) => None,
            Some(Ok(Some(Ok(Err(error))))) => Some(display_chain(&error)),
            Some(Ok(_)) => Some("panicked".to_owned()),
            Some(Err(_)) => Some(format!("took longer than {} s", schedule.max_duration.as_secs())),
        };
        self.metrics.observe_duration(schedule.name, started.elapsed());
        match failure {
            None => {
                self.metrics.record_success(schedule.name);
                JobOutcome::Succeeded
            }
            Some(error) => {
                self.metrics.count_failure(schedule.name);
                tracing::warn!(job = schedule.name, error, "job failed");
                JobOutcome::Failed
            }
        }
    }

    async fn end(&self, lease: &JobLease, outcome: JobOutcome) {
        if let Err(error) = self.leases.end(lease, outcome).await {
            tracing::warn!(job = lease.name, error = display_chain(&error), "job lease not ended");
        }
    }
}

/// Waits until the process stops and the grace period has passed.
async fn stopped(stop: &mut watch::Receiver<Option<Duration>>) {
    let grace = stop.wait_for(Option::is_some).await.ok().and_then(|grace| *grace);
    sleep(grace.unwrap_or_default()).await;
}

fn display_chain(error: &domain::Error) -> String {
    crate::error::CliError::of(error).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use domain::{Error, JobSchedule};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    const SCHEDULE: JobSchedule =
        JobSchedule { name: "teste", interval: Duration::from_secs(10), max_duration: Duration::from_mins(1) };

    /// The duration of a run that panics.
    const PANIC: Duration = Duration::MAX;

    /// The leases of one replica, kept in memory; `failures` claims fail first.
    #[derive(Default)]
    struct Leases {
        failures: AtomicU32,
        is_held_elsewhere: bool,
        outcomes: Mutex<Vec<JobOutcome>>,
    }

    #[async_trait]
    impl JobLeases for Leases {
        async fn claim(&self, schedule: &JobSchedule) -> Result<JobClaim, Error> {
            let fails = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if fails.is_ok() {
                return Err(Error::internal("no database"));
            }
            if self.is_held_elsewhere {
                return Ok(JobClaim::NotDue { wait: schedule.interval });
            }
            Ok(JobClaim::Acquired(JobLease { name: schedule.name, run: Uuid::nil() }))
        }

        async fn end(&self, _lease: &JobLease, outcome: JobOutcome) -> Result<(), Error> {
            self.outcomes.lock().unwrap().push(outcome);
            Ok(())
        }

        async fn last_success(&self, _name: &str) -> Result<Option<OffsetDateTime>, Error> {
            Ok(Some(OffsetDateTime::UNIX_EPOCH))
        }
    }

    /// Runs a job over `leases` for `duration` and returns its outcomes and metrics. The clock of the test stands still
    /// unless all tasks sleep.
    async fn run_for(
        duration: Duration,
        leases: Leases,
        run: impl Fn() -> Result<Duration, Error> + Send + Sync + 'static,
    ) -> (Vec<JobOutcome>, (u64, i64)) {
        let run = move || {
            let result = run();
            let run: futures_util::future::BoxFuture<'static, _> = Box::pin(async move {
                let duration = result?;
                assert_ne!(duration, PANIC, "a panic of the job");
                sleep(duration).await;
                Ok(())
            });
            run
        };
        let (leases, metrics) = (Arc::new(leases), JobMetrics::default());
        let shared: Arc<dyn JobLeases> = leases.clone();
        let runner = JobRunner::start(vec![Job { schedule: SCHEDULE, run: Box::new(run) }], &shared, &metrics);
        sleep(duration).await;
        runner.stop_handle()(Duration::from_secs(1));
        let stopped_at = Instant::now();
        runner.join().await;
        assert!(stopped_at.elapsed() <= Duration::from_secs(2), "{:?}", stopped_at.elapsed());
        let outcomes = leases.outcomes.lock().unwrap().clone();
        (outcomes, metrics.snapshot(SCHEDULE.name))
    }

    #[tokio::test(start_paused = true)]
    async fn job_runs_once_per_interval() {
        let (outcomes, (failures, last_success)) =
            run_for(Duration::from_secs(35), Leases::default(), || Ok(Duration::from_secs(2))).await;

        assert_eq!((outcomes, failures), (vec![JobOutcome::Succeeded; 4], 0));
        assert!(0 < last_success);
    }

    #[tokio::test(start_paused = true)]
    async fn job_that_fails_or_panics_is_counted_and_runs_again() {
        let attempts = AtomicU32::new(0);
        let run = move || match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::internal("broken")),
            1 => Ok(PANIC),
            _ => Ok(Duration::ZERO),
        };
        let (outcomes, (failures, _)) = run_for(Duration::from_secs(27), Leases::default(), run).await;

        assert_eq!((outcomes, failures), (vec![JobOutcome::Failed, JobOutcome::Failed, JobOutcome::Succeeded], 2));
    }

    #[tokio::test(start_paused = true)]
    async fn job_beyond_its_max_duration_is_cancelled_and_counted() {
        let (outcomes, (failures, last_success)) =
            run_for(Duration::from_secs(65), Leases::default(), || Ok(Duration::from_hours(1))).await;

        assert_eq!((outcomes.first(), failures), (Some(&JobOutcome::Failed), 1));
        assert_eq!(last_success, 0, "that of the leases, not the start of the process");
    }

    #[tokio::test(start_paused = true)]
    async fn claim_without_database_is_counted_and_repeated() {
        let leases = Leases { failures: AtomicU32::new(1), ..Leases::default() };

        let (outcomes, (failures, _)) = run_for(Duration::from_secs(15), leases, || Ok(Duration::ZERO)).await;

        assert_eq!((outcomes, failures), (vec![JobOutcome::Succeeded], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn job_held_by_another_replica_takes_over_its_last_success() {
        let leases = Leases { is_held_elsewhere: true, ..Leases::default() };

        let (outcomes, metrics) = run_for(Duration::from_secs(15), leases, || Ok(Duration::ZERO)).await;

        assert_eq!((outcomes, metrics), (vec![], (0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn stop_during_a_run_cancels_it_after_the_grace_period() {
        let (outcomes, _) = run_for(Duration::from_secs(5), Leases::default(), || Ok(Duration::from_secs(50))).await;

        assert_eq!(outcomes, [JobOutcome::Interrupted]);
    }

    #[tokio::test(start_paused = true)]
    async fn stop_during_a_run_lets_it_end_within_the_grace_period() {
        let (outcomes, _) =
            run_for(Duration::from_secs(5), Leases::default(), || Ok(Duration::from_millis(4900))).await;

        assert_eq!(outcomes, [JobOutcome::Succeeded]);
    }
}
