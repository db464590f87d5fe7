//! The commands of the binary `aponta`.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its tools as well"
)]

mod commands;
