//! Successful responses: status, headers and body, each with its OpenAPI description.

pub mod body;
pub mod conditional;
pub mod csv;
pub mod document;
pub mod json;
pub mod links;
pub mod list;
pub mod resource;
pub mod row_stream;
pub mod timestamp;
