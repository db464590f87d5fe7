//! The adapter on a real file: the suite of the domain, and what only a file can do wrong.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and so does what it shares with others"
)]

mod file;
mod support;

/// The suite of the domain, each check on a file of its own.
mod suite {
    domain::repository_suite!(crate::support::fresh);
}
