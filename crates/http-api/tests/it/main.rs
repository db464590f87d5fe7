//! The real `App` over mocked ports: statuses, headers and shapes of responses.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its tools as well"
)]

mod apontamentos;
mod atividades;
mod authentication;
mod bulk;
mod conditional;
mod connection;
mod cors;
mod fuzz;
mod http_semantics;
mod in_flight;
mod integracao;
mod listing;
mod loopback;
mod new_noun;
mod openapi;
mod person_rate;
mod planning;
mod projetos;
mod raw_exchanges;
mod relatorios;
mod representation;
mod root_path;
mod searches;
mod server_errors;
mod support;
mod timesheet;
mod validation;
mod work_items;
