//! The work items of the organisation, as one caller sees them.

mod payload;
mod reader;
mod search;
mod writer;
mod writer_payload;

#[cfg(test)]
pub(crate) use payload::{Batch, Item, QueryResult, States};
pub(crate) use reader::WorkItems;
