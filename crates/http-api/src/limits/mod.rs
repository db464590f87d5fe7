//! Limits that requests share, so that no client takes what others need.

pub mod in_flight;
pub mod searches;
