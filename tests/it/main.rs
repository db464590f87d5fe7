//! The product: the real binary on a real PostgreSQL, spoken to over HTTP.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its tools as well"
)]

mod architecture;
mod attacks;
mod azure;
mod contract;
mod documentation;
mod model;
mod model_apontamentos;
mod observability;
mod operation;
mod persistence;
mod tools;
