//! The end-to-end suite's tools: a private PostgreSQL, the real binary as a process, and a client that speaks to it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a tool of tests fails by a panic, as every test does"
)]

pub mod azure;
pub mod client;
pub mod fastapi;
pub mod pgbouncer;
pub mod postgres;
pub mod server;
