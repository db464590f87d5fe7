//! The adapter on a real file: the suite of the domain, and tests of the file itself.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by a panic")]

mod file;
mod support;

/// The suite of the domain, each test on its own file.
mod suite {
    domain::repository_suite!(crate::support::fresh);
}
