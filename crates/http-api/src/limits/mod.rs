//! Limits that all requests of the process share.

pub mod in_flight;
pub mod person_rates;
pub mod project_lists;
pub mod searches;
