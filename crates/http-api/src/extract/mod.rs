//! Extractors: what handlers read from a request.

pub mod accept;
pub mod idempotency;
pub mod input;
pub mod items;
mod json_body;
pub mod paging;
pub mod part;
mod query;
pub mod scalars;
