//! The end-to-end suite's tools: a private PostgreSQL, and the real server as a process.

pub mod postgres;
pub mod server;
