//! The database: whether it responds, its schema, and its clock.

use std::time::Instant;

use adapters_postgres::{Archive, Config, Diagnosis, MigrationState, PostgresDatabase, ReplicaDiagnosis};
use time::{Duration, OffsetDateTime};

use super::connections::{self, Demand};
use super::report::Report;
use crate::error::CliError;

/// A larger difference would show in the order by time.
const MAX_SKEW: Duration = Duration::seconds(2);

/// Checks the database, and returns the state of its WAL archive.
pub async fn check(config: Config, demand: Demand, report: &mut Report) -> Option<Archive> {
    let direct = config.direct();
    let database = match PostgresDatabase::connect(config).await {
        Ok(database) => database,
        Err(error) => {
            report.wrong("database", error);
            return None;
        }
    };
    let started = Instant::now();
    let diagnosis = match database.diagnose().await {
        Ok(diagnosis) => diagnosis,
        Err(error) => {
            report.wrong("database", CliError::of(&error));
            return None;
        }
    };
    let elapsed = started.elapsed();
    report.ok("database", format_args!("PostgreSQL {} responds in {} ms", diagnosis.version, elapsed.as_millis()));
    if diagnosis.is_standby || diagnosis.is_read_only {
        let (standby, read_only) = (diagnosis.is_standby, diagnosis.is_read_only);
        report.wrong(
            "writes",
            format_args!("pg_is_in_recovery() is {standby}, transaction_read_only is {read_only}: writes fail"),
        );
    }
    if diagnosis.is_behind_pooler {
        let advice = "hands each transaction to another backend: each statement runs in a transaction of its own, which is slower";
        report.ok("pooler", advice);
    }
    connections::check(demand, &diagnosis, report);
    if let Some(direct) = direct {
        check_direct(direct, &diagnosis, report).await;
    }
    check_replicas(&database, report).await;
    check_schema(&database, report).await;
    let skew = (OffsetDateTime::now_utc() - elapsed / 2 - diagnosis.now).abs();
    if skew <= MAX_SKEW {
        report.ok("clock", format_args!("{} ms from the database's", skew.whole_milliseconds()));
    } else {
        let seconds = skew.as_seconds_f64();
        report.wrong("clock", format_args!("{seconds:.1} s from the database's: use NTP on both hosts"));
    }
    database.close().await;
    diagnosis.archive
}

/// Checks that `DATABASE_DIRECT_URL` leads to the same database, and past the pooler.
async fn check_direct(config: Config, requests: &Diagnosis, report: &mut Report) {
    let direct = match PostgresDatabase::connect(config).await {
        Ok(direct) => direct,
        Err(error) => return report.wrong("direct", format_args!("DATABASE_DIRECT_URL: {error}")),
    };
    match direct.diagnose().await {
        Err(error) => report.wrong("direct", CliError::of(&error)),
        Ok(found) if found.database != requests.database => {
            report.wrong("direct", "DATABASE_DIRECT_URL leads to another database than requests use");
        }
        Ok(found) if found.is_behind_pooler => {
            report.wrong("direct", "DATABASE_DIRECT_URL leads to a pooler: name PostgreSQL itself");
        }
        Ok(_) => report.ok("direct", "DATABASE_DIRECT_URL leads to the same database"),
    }
    direct.close().await;
}

/// Checks that each server of `DATABASE_REPLICA_URLS` can serve reads.
async fn check_replicas(database: &PostgresDatabase, report: &mut Report) {
    let replicas = match database.diagnose_replicas().await {
        Ok(replicas) => replicas,
        Err(error) => return report.wrong("replica", CliError::of(&error)),
    };
    for ReplicaDiagnosis { address, delay } in replicas {
        match delay {
            Ok(None) => report.ok("replica", format_args!("{address}: is the primary now, and serves all reads")),
            Ok(Some(delay)) => {
                let delay = delay.as_millis();
                report.ok(
                    "replica",
                    format_args!("{address}: replayed the newest position of the primary within {delay} ms"),
                );
            }
            Err(reason) => report.wrong("replica", format_args!("{address}: {reason}; the primary serves its reads")),
        }
    }
}

async fn check_schema(database: &PostgresDatabase, report: &mut Report) {
    let steps = match database.migration_status().await {
        Ok(steps) => steps,
        Err(error) => return report.wrong("schema", error),
    };
    let count = |state| steps.iter().filter(|step| step.state == state).count();
    match (count(MigrationState::Pending), count(MigrationState::Unknown)) {
        (0, 0) => report.ok("schema", format_args!("has all {} migrations", steps.len())),
        (0, unknown) => report.wrong(
            "schema",
            format_args!("has {unknown} migrations unknown to this version: run the version that applied them"),
        ),
        (pending, _) => report.wrong("schema", format_args!("lacks {pending} migrations: `aponta migrate up`")),
    }
}
