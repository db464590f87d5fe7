//! What happens to every request before and after its handler.

mod authentication;
mod cors;
mod request;

pub use authentication::{CurrentUser, authenticate};
pub use cors::cors;
pub use request::around;
