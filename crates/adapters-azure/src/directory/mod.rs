//! The projects of the organisation, as one caller sees them.

mod payload;
mod project_directory;

pub(crate) use payload::Project;
#[cfg(test)]
pub(crate) use payload::{Page, project_id};
pub(crate) use project_directory::{Directory, Principal};
