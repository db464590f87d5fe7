//! Leases of background jobs.

use std::time::Duration;

use adapters_postgres::PostgresJobLeases;
use domain::{JobClaim, JobLease, JobLeases as _, JobOutcome, JobSchedule};

use crate::support::{config, connect, migrated};

const HOURLY: JobSchedule =
    JobSchedule { name: "sincronizar", interval: Duration::from_hours(1), max_duration: Duration::from_mins(10) };

async fn claim(leases: &PostgresJobLeases, schedule: &JobSchedule) -> Option<JobLease> {
    match leases.claim(schedule).await.unwrap() {
        JobClaim::Acquired(lease) => Some(lease),
        JobClaim::NotDue { wait } => {
            assert!(wait <= schedule.interval, "{wait:?}");
            None
        }
    }
}

#[tokio::test]
async fn claim_by_many_at_once_succeeds_once() {
    let database = migrated().await;
    let mut claims = vec![];
    for _ in 0..8 {
        let leases = PostgresJobLeases::new(&connect(config(&database)).await);
        claims.push(tokio::spawn(async move { claim(&leases, &HOURLY).await.is_some() }));
    }

    let mut acquired = 0;
    for claim in claims {
        acquired += usize::from(claim.await.unwrap());
    }
    assert_eq!(acquired, 1);
}

#[tokio::test]
async fn claim_after_a_run_waits_for_the_interval_unless_interrupted() {
    let database = migrated().await;
    let leases = PostgresJobLeases::new(&connect(config(&database)).await);
    assert_eq!(leases.last_success(HOURLY.name).await.unwrap(), None);

    for (outcome, is_due) in
        [(JobOutcome::Interrupted, true), (JobOutcome::Failed, false), (JobOutcome::Succeeded, false)]
    {
        let lease = claim(&leases, &HOURLY).await.unwrap();
        assert_eq!(claim(&leases, &HOURLY).await, None, "it runs");
        leases.end(&lease, outcome).await.unwrap();

        if is_due {
            let lease = claim(&leases, &HOURLY).await.unwrap();
            leases.end(&lease, JobOutcome::Failed).await.unwrap();
        }
        assert_eq!(claim(&leases, &HOURLY).await, None, "{outcome:?}");
        let JobClaim::NotDue { wait } = leases.claim(&HOURLY).await.unwrap() else { unreachable!() };
        assert!(HOURLY.interval < wait + Duration::from_mins(1), "{wait:?}");
        assert_eq!(leases.last_success(HOURLY.name).await.unwrap().is_some(), outcome == JobOutcome::Succeeded);
        database.execute("UPDATE api_aponta.rotinas SET iniciada_em = iniciada_em - interval '61 minutes'");
    }

    assert!(claim(&leases, &HOURLY).await.is_some(), "the interval has passed");
}

#[tokio::test]
async fn claim_of_an_abandoned_run_succeeds_when_its_lease_has_ended() {
    let database = migrated().await;
    let leases = PostgresJobLeases::new(&connect(config(&database)).await);
    let abandoned = claim(&leases, &HOURLY).await.unwrap();
    database.execute("UPDATE api_aponta.rotinas SET iniciada_em = iniciada_em - interval '61 minutes'");
    assert_eq!(claim(&leases, &HOURLY).await, None, "the lease lasts longer than the interval");

    database.execute("UPDATE api_aponta.rotinas SET reservada_ate = clock_timestamp()");
    let taken_over = claim(&leases, &HOURLY).await.unwrap();
    leases.end(&abandoned, JobOutcome::Succeeded).await.unwrap();

    assert_eq!(leases.last_success(HOURLY.name).await.unwrap(), None, "the lease is not the first replica's any more");
    leases.end(&taken_over, JobOutcome::Succeeded).await.unwrap();
    assert!(leases.last_success(HOURLY.name).await.unwrap().is_some());
}

#[tokio::test]
async fn claim_after_a_clock_ran_ahead_succeeds() {
    let database = migrated().await;
    let leases = PostgresJobLeases::new(&connect(config(&database)).await);
    assert!(claim(&leases, &HOURLY).await.is_some());

    database.execute(
        "UPDATE api_aponta.rotinas SET iniciada_em = iniciada_em + interval '1 day',
                                       reservada_ate = reservada_ate + interval '1 day'",
    );

    assert!(claim(&leases, &HOURLY).await.is_some());
}

#[tokio::test]
async fn claim_with_a_shorter_interval_takes_effect_at_once() {
    let database = migrated().await;
    let leases = PostgresJobLeases::new(&connect(config(&database)).await);
    let lease = claim(&leases, &HOURLY).await.unwrap();
    leases.end(&lease, JobOutcome::Succeeded).await.unwrap();

    let minutely = JobSchedule { interval: Duration::from_mins(1), ..HOURLY };
    database.execute("UPDATE api_aponta.rotinas SET iniciada_em = iniciada_em - interval '61 seconds'");

    assert_eq!(claim(&leases, &HOURLY).await, None);
    assert!(claim(&leases, &minutely).await.is_some());
}
