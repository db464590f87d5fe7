//! The work items of the organisation, as one caller sees them.

mod payload;
mod planning;
mod reader;
mod search;
mod teams;
mod tree;
mod weight;
mod wiql;
mod writer;
mod writer_payload;

#[cfg(test)]
pub(crate) use payload::{Batch, Item, LinkResult, QueryResult, States, Types};
pub(crate) use reader::WorkItems;
