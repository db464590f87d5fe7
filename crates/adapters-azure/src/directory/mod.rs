//! The projects of the organisation, as one caller sees them.

mod payload;
mod project_directory;

#[cfg(test)]
pub(crate) use payload::Page;
pub(crate) use payload::{Project, project_id};
pub(crate) use project_directory::{Directory, Principal};
