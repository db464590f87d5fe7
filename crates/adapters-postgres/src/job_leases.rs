//! Leases of background jobs, as rows of `rotinas`.
//!
//! A row, because an advisory lock of a session is lost behind a pooler that hands each transaction to another backend.
//! All times are those of the server's clock, so that clocks of replicas do not matter.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Error, JobClaim, JobLease, JobLeases, JobOutcome, JobSchedule};
use sea_orm::{ConnectionTrait as _, DbErr, FromQueryResult, raw_sql};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{PostgresDatabase, db_error};

/// [`JobLeases`] of PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresJobLeases(PostgresDatabase);

#[derive(FromQueryResult)]
struct WaitRow {
    seconds: f64,
}

#[derive(FromQueryResult)]
struct LastSuccessRow {
    concluida_em: Option<OffsetDateTime>,
}

impl PostgresJobLeases {
    /// Leases in `database`.
    #[must_use]
    pub fn new(database: &PostgresDatabase) -> Self {
        Self(database.clone())
    }

    /// Acquires the lease if the job is due.
    ///
    /// `clock_timestamp()` is read after a concurrent claim has released the row, which `now()` is not. A start or a lease
    /// that lies too far in the future comes from a clock that ran ahead, and does not count.
    async fn acquire(&self, schedule: &JobSchedule) -> Result<Option<JobLease>, DbErr> {
        let lease = JobLease { name: schedule.name, run: Uuid::now_v7() };
        let (name, run) = (lease.name, lease.run);
        let (interval, max_duration) = (schedule.interval.as_secs_f64(), schedule.max_duration.as_secs_f64());
        let acquire = raw_sql!(
            Postgres,
            r#"INSERT INTO rotinas (nome, execucao, iniciada_em, reservada_ate)
               VALUES ({name}, {run}, clock_timestamp(), clock_timestamp() + make_interval(secs => {max_duration}))
               ON CONFLICT (nome) DO UPDATE
               SET execucao = EXCLUDED.execucao, iniciada_em = clock_timestamp(),
                   reservada_ate = clock_timestamp() + make_interval(secs => {max_duration})
               WHERE (rotinas.iniciada_em IS NULL
                      OR rotinas.iniciada_em NOT BETWEEN clock_timestamp() - make_interval(secs => {interval})
                                                     AND clock_timestamp())
                 AND (rotinas.reservada_ate IS NULL
                      OR rotinas.reservada_ate NOT BETWEEN clock_timestamp()
                                               AND clock_timestamp() + make_interval(secs => {max_duration}))"#
        );
        let acquired = self.0.write("job.claim").execute_raw(acquire).await?;
        Ok((0 < acquired.rows_affected()).then_some(lease))
    }

    /// The time until the job is due and its lease has ended, at most the interval.
    async fn wait(&self, schedule: &JobSchedule) -> Result<Duration, DbErr> {
        let (name, interval) = (schedule.name, schedule.interval.as_secs_f64());
        let wait = WaitRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT extract(epoch FROM GREATEST(iniciada_em + make_interval(secs => {interval}), reservada_ate)
                              - clock_timestamp())::float8 AS seconds
               FROM rotinas WHERE nome = {name} AND (iniciada_em IS NOT NULL OR reservada_ate IS NOT NULL)"#
        ));
        let wait = wait.one(&self.0.read("job.wait")).await?;
        Ok(wait.map_or(Duration::ZERO, |row| Duration::from_secs_f64(row.seconds.clamp(0.0, interval))))
    }
}

#[async_trait]
impl JobLeases for PostgresJobLeases {
    async fn claim(&self, schedule: &JobSchedule) -> Result<JobClaim, Error> {
        let claim = async {
            Ok(match self.acquire(schedule).await? {
                Some(lease) => JobClaim::Acquired(lease),
                None => JobClaim::NotDue { wait: self.wait(schedule).await? },
            })
        };
        claim.await.map_err(|error: DbErr| db_error::into_domain(&error))
    }

    async fn end(&self, lease: &JobLease, outcome: JobOutcome) -> Result<(), Error> {
        let (name, run) = (lease.name, lease.run);
        let (is_success, is_due) = (outcome == JobOutcome::Succeeded, outcome == JobOutcome::Interrupted);
        let end = raw_sql!(
            Postgres,
            r#"UPDATE rotinas
               SET reservada_ate = NULL,
                   iniciada_em = CASE WHEN {is_due} THEN NULL ELSE iniciada_em END,
                   concluida_em = CASE WHEN {is_success} THEN clock_timestamp() ELSE concluida_em END
               WHERE nome = {name} AND execucao = {run}"#
        );
        self.0.write("job.end").execute_raw(end).await.map(drop).map_err(|error| db_error::into_domain(&error))
    }

    async fn last_success(&self, name: &str) -> Result<Option<OffsetDateTime>, Error> {
        let row = LastSuccessRow::find_by_statement(raw_sql!(
            Postgres,
            r#"SELECT concluida_em FROM rotinas WHERE nome = {name}"#
        ));
        let row = row.one(&self.0.read("job.last_success")).await.map_err(|error| db_error::into_domain(&error))?;
        Ok(row.and_then(|row| row.concluida_em))
    }
}
