//! Operating the binary.

mod commands;
mod database;
mod dev;
mod replicas;
mod settings;
mod stopping;
