//! The work items of the organisation, as one caller sees them.

mod payload;
mod reader;

#[cfg(test)]
pub(crate) use payload::{Batch, Item, States};
pub(crate) use reader::WorkItems;
