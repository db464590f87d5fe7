//! Operating the binary.

mod commands;
mod database;
mod dev;
mod import;
mod jobs;
mod privacy;
mod replicas;
mod settings;
mod stopping;
