//! The adapter on a real PostgreSQL: the suite of the domain, and what only PostgreSQL can do wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic, and so does what it shares with others")]

mod coalescing;
mod connecting;
mod fastapi;
mod faults;
mod job_leases;
mod migrations;
mod personal_data;
mod pooler;
mod races;
mod replicas;
mod scans;
mod schemas;
mod server_defaults;
mod support;

/// The suite of the domain, each check on a database of its own.
mod suite {
    domain::repository_suite!(crate::support::fresh);
}
