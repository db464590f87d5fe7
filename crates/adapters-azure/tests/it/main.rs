//! Tests of the adapter against stand-in servers. `fixtures/` holds recorded or documented responses of Azure DevOps with
//! invented names and tokens.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and so does what it shares with others"
)]

mod app_tokens;
mod cache;
mod identity;
mod members;
mod outages;
mod probe;
mod profile;
mod projects;
mod protection;
mod raw_server;
mod secrets;
mod server_versions;
mod shared;
mod support;
mod teams;
mod unknown_credentials;
mod work_item_limits;
mod work_item_search;
mod work_item_tree;
mod work_item_writer;
mod work_items;
