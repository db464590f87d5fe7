//! Read replicas: standbys that serve lists and reports.
//!
//! A read asks the primary for its position in the WAL, and then a replica that has replayed it. So it sees every commit that
//! any process has acknowledged before, without state about callers. With any doubt about the replica, the primary serves
//! the read.

mod lag;
mod metrics;
mod position;
mod replica;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coalescer::Coalescer;
use sea_orm::sqlx::postgres::{PgQueryResult, PgRow};
use sea_orm::{DbErr, Statement};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::metrics::Metrics;
use crate::{Config, PostgresDatabase, db_error};
use lag::LagTracker;
use metrics::ReplicaMetrics;
use position::{Mismatch, Position, PrimaryPosition};
use replica::{Refusal, Replica};

/// The time between two probes of a replica, and so the longest that a recovered one is not used.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// The bound of a probe. The first one opens several sessions, to detect a pooler.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The replicas of one database.
pub(crate) struct Replicas {
    servers: Vec<Arc<Replica>>,
    /// Round robin.
    next: AtomicUsize,
    primary: Arc<Coalescer<PrimaryPosition>>,
    probes: Vec<AbortHandle>,
    operations: Metrics,
    pub(crate) metrics: Arc<ReplicaMetrics>,
}

/// The state of a replica, for operators.
#[derive(Debug, Clone)]
pub struct ReplicaDiagnosis {
    /// `host:port`.
    pub address: String,
    /// How long the replay of the primary's position took, `None` for the primary itself, or why the replica cannot serve reads.
    pub delay: Result<Option<Duration>, String>,
}

impl Replicas {
    /// Starts to probe the replicas of `database`.
    pub(crate) fn start(configs: Vec<Config>, database: &PostgresDatabase) -> Self {
        let runtime = &database.runtime;
        let primary = Coalescer::new(PrimaryPosition(database.clone()), database.coalescing_limits(), runtime.clone());
        let metrics = Arc::new(ReplicaMetrics::new());
        let servers: Vec<_> =
            configs.into_iter().map(|config| Arc::new(Replica::new(config, runtime.clone()))).collect();
        let probe = |replica: &Arc<Replica>| {
            let probes = keep_probing(Arc::clone(replica), Arc::clone(&primary), Arc::clone(&metrics));
            runtime.spawn(probes).abort_handle()
        };
        let probes = servers.iter().map(probe).collect();
        Self { servers, next: AtomicUsize::new(0), primary, probes, operations: database.metrics.clone(), metrics }
    }

    /// Runs `statement` on a replica and folds its rows. Returns `None` if the primary has to run it.
    pub(crate) async fn fold<T: Send>(
        &self,
        operation: &'static str,
        statement: &Statement,
        new: &(impl Fn() -> T + Send + Sync),
        take: &(impl Fn(&mut T, PgRow) + Send + Sync),
    ) -> Option<Result<(T, PgQueryResult), DbErr>> {
        let Some(replica) = self.pick() else {
            self.metrics.count_primary(None);
            return None;
        };
        // Without its position, the primary would not run the statement either.
        let required = match self.primary.call(()).await.map_err(db_error::of_call) {
            Ok(required) => required,
            Err(error) => return Some(Err(error)),
        };
        let started = Instant::now();
        let mut taken = new();
        match replica.read(&required, statement, |row| take(&mut taken, row)).await {
            Ok(done) => {
                self.metrics.count_replica();
                self.operations.ended(operation, &Ok(()), started.elapsed());
                Some(Ok((taken, done)))
            }
            Err(refusal) => match refusal.into_final() {
                Ok(error) => {
                    self.metrics.count_replica();
                    let failed = Err(error);
                    self.operations.ended(operation, &failed, started.elapsed());
                    Some(failed)
                }
                Err(refusal) => {
                    self.metrics.count_primary(Some(&refusal));
                    None
                }
            },
        }
    }

    /// Returns the next usable replica.
    fn pick(&self) -> Option<&Arc<Replica>> {
        let count = self.servers.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(count)?;
        self.servers.iter().cycle().skip(first).take(count).find(|replica| replica.is_usable())
    }

    /// Ends the probes and closes idle connections.
    pub(crate) fn close(&self) {
        self.probes.iter().for_each(AbortHandle::abort);
        self.servers.iter().for_each(|replica| replica.close());
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas").finish_non_exhaustive()
    }
}

/// Probes `replica` until it is aborted. A probe that fails opens the circuit breaker, one that succeeds closes it.
async fn keep_probing(replica: Arc<Replica>, primary: Arc<Coalescer<PrimaryPosition>>, metrics: Arc<ReplicaMetrics>) {
    let mut lag = LagTracker::default();
    let mut interval = interval(PROBE_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let asked = Instant::now();
        // While the primary does not respond, nothing is known of the replica: no process can read from it.
        let Ok(required) = primary.call(()).await else { continue };
        lag.primary_at(required.lsn, asked);
        let probed = probe(&replica, &required).await;
        if let Some(lsn) = replayed(&probed, &required) {
            lag.replayed(lsn, Instant::now());
        }
        metrics.set_lag(&replica.address, lag.lag(Instant::now()).as_secs_f64());
        replica.set_usable(probed.as_ref().map(|_| ()));
    }
}

async fn probe(replica: &Replica, required: &Position) -> Result<Position, Refusal> {
    let probed = timeout(PROBE_TIMEOUT, replica.probe(required)).await;
    probed.unwrap_or_else(|_| Err(Refusal::Connection(db_error::no_response(PROBE_TIMEOUT))))
}

/// Returns the position that a probe has seen. The primary is at its own.
fn replayed(probed: &Result<Position, Refusal>, required: &Position) -> Option<i64> {
    match probed {
        Ok(position) => Some(position.lsn),
        Err(Refusal::Mismatch(Mismatch::Behind { bytes })) => Some(required.lsn - bytes),
        Err(refusal) if refusal.is_primary() => Some(required.lsn),
        Err(_) => None,
    }
}

impl PostgresDatabase {
    /// Probes each replica of [`Config::with_replicas`].
    ///
    /// # Errors
    /// The reason for which the primary has no position in the WAL.
    pub async fn diagnose_replicas(&self) -> Result<Vec<ReplicaDiagnosis>, domain::Error> {
        let mut diagnoses = Vec::new();
        for config in self.config.replicas() {
            let required = PrimaryPosition(self.clone()).read().await;
            let required = required.map_err(|error| db_error::into_domain(&error))?;
            let replica = Replica::new(config, self.runtime.clone());
            let started = Instant::now();
            let delay = loop {
                match probe(&replica, &required).await {
                    Ok(_) => break Ok(Some(started.elapsed())),
                    Err(refusal) if refusal.is_primary() => break Ok(None),
                    // Later than a read can wait, and not wrong.
                    Err(refusal) if refusal.is_behind() && started.elapsed() < PROBE_TIMEOUT => {}
                    Err(refusal) => break Err(refusal.to_string()),
                }
            };
            replica.close();
            diagnoses.push(ReplicaDiagnosis { address: replica.address.clone(), delay });
        }
        Ok(diagnoses)
    }
}
