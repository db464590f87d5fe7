//! Operating the binary.

mod commands;
mod database;
mod dev;
mod jobs;
mod replicas;
mod settings;
mod stopping;
