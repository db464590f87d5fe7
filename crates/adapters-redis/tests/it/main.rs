//! The adapter against a real Valkey, or Redis.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod diagnosis;
mod failures;
mod identities;
mod rates;
mod server;
