//! Operating the binary.

mod commands;
mod database;
mod dev;
mod jobs;
mod privacy;
mod replicas;
mod settings;
mod stopping;
