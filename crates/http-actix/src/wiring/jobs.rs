//! The background jobs of `aponta serve`.

use std::sync::Arc;
use std::time::Duration;

use adapters_postgres::{PostgresDatabase, PostgresJobLeases};
use domain::{
    Caller, Clock as _, Credential, JobLeases, JobSchedule, Projetos, Sincronizacao, Usuario, WorkItemWriter,
    WriteBack, WriteBackQueue, WriteBackSummary,
};
use futures_util::future::try_join_all;

use super::{SystemClock, Wiring};
use crate::error_tracking::ErrorTracker;
use crate::jobs::Job;

/// The interval of the expiry of idempotency keys.
const KEY_EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that deleting expired keys takes.
const MAX_KEY_EXPIRY_DURATION: Duration = Duration::from_mins(5);

/// The interval of the write-back.
const WRITE_BACK_INTERVAL: Duration = Duration::from_secs(2);

/// The longest time that a run of the write-back takes: no work item is begun after 15 s.
const MAX_WRITE_BACK_DURATION: Duration = Duration::from_secs(45);

/// How many work items are written at once.
const WRITE_BACK_CONCURRENCY: usize = 4;

/// The longest time that a synchronisation takes.
const MAX_SYNC_DURATION: Duration = Duration::from_mins(10);

/// The leases by which replicas on `database` share the jobs.
pub fn leases(database: &PostgresDatabase) -> Arc<dyn JobLeases> {
    Arc::new(PostgresJobLeases::new(database))
}

/// The expiry of idempotency keys.
pub fn expire_idempotency_keys(database: &PostgresDatabase) -> Job {
    let database = database.clone();
    let schedule = JobSchedule {
        name: "expire_idempotency_keys",
        interval: KEY_EXPIRY_INTERVAL,
        max_duration: MAX_KEY_EXPIRY_DURATION,
    };
    let run = move || -> futures_util::future::BoxFuture<'static, _> {
        let database = database.clone();
        Box::pin(async move {
            let deleted = database.delete_expired_keys(SystemClock.now()).await?;
            tracing::debug!(deleted, "deleted expired idempotency keys");
            Ok(())
        })
    };
    Job { schedule, run: Box::new(run) }
}

/// The synchronisation of the organisation's projects with the service's own `credential`.
pub fn synchronize_projects(
    wiring: &Wiring,
    database: &PostgresDatabase,
    interval: Duration,
    credential: Credential,
) -> Job {
    let ports = wiring.ports(database);
    let projetos =
        Arc::new(Projetos::new(ports.projetos, ports.directory, ports.service_credential, wiring.clock.clone()));
    // The use case needs a caller for the credential alone; nothing is stored under this name.
    let usuario = Usuario { id: "aponta".to_owned(), display_name: "API Aponta".to_owned(), email: None };
    let caller = Caller { usuario, credential: Some(credential) };
    let schedule = JobSchedule { name: "synchronize_projects", interval, max_duration: MAX_SYNC_DURATION };
    let run = move || -> futures_util::future::BoxFuture<'static, _> {
        let (projetos, caller) = (Arc::clone(&projetos), caller.clone());
        Box::pin(async move {
            let Sincronizacao { summary, failed, unconfirmed, .. } = projetos.sincronizar(&caller).await?;
            tracing::info!(
                synced = summary.synced,
                created = summary.created,
                updated = summary.updated,
                removed = summary.removed,
                failed = failed.len(),
                unconfirmed,
                "projects synchronized"
            );
            Ok(())
        })
    };
    Job { schedule, run: Box::new(run) }
}

/// The write-back of the hours of time entries to Azure DevOps. `tracker` gets what is not tried again.
pub fn write_back(
    queue: Arc<dyn WriteBackQueue>,
    writer: Arc<dyn WorkItemWriter>,
    tracker: Option<ErrorTracker>,
) -> Job {
    let write_back = Arc::new(WriteBack::new(queue, writer, Arc::new(SystemClock)));
    let schedule =
        JobSchedule { name: "write_back", interval: WRITE_BACK_INTERVAL, max_duration: MAX_WRITE_BACK_DURATION };
    let run = move || -> futures_util::future::BoxFuture<'static, _> {
        let (write_back, tracker) = (Arc::clone(&write_back), tracker.clone());
        Box::pin(async move {
            let runs = (0..WRITE_BACK_CONCURRENCY).map(|_| write_back.escrever_pendentes());
            for WriteBackSummary { written, failed, retried, last_error } in try_join_all(runs).await? {
                if 0 < written + retried || !failed.is_empty() {
                    tracing::info!(written, failed = failed.len(), retried, "hours written to Azure DevOps");
                }
                if let Some(tracker) = &tracker {
                    for motivo in failed {
                        tracker.dead_job("write_back", motivo.code());
                    }
                }
                if let Some(error) = last_error {
                    let error = crate::error::CliError::of(&error).to_string();
                    tracing::warn!(error, "hours not written yet");
                }
            }
            Ok(())
        })
    };
    Job { schedule, run: Box::new(run) }
}
