//! The background jobs of `aponta serve`.

use std::sync::Arc;
use std::time::Duration;

use adapters_postgres::{PostgresDatabase, PostgresJobLeases};
use domain::{Caller, Clock as _, Credential, JobLeases, JobSchedule, Projetos, Sincronizacao, Usuario};

use super::{SystemClock, Wiring};
use crate::jobs::Job;

/// The interval of the expiry of idempotency keys.
const KEY_EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that deleting expired keys takes.
const MAX_KEY_EXPIRY_DURATION: Duration = Duration::from_mins(5);

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
