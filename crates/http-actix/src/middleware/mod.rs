//! What happens to every request before and after its handler.

mod authentication;
mod compression;
mod cors;
mod exchange;
mod failed_sign_ins;
mod guard;
mod in_flight;
mod loopback;
mod problem;
mod request;

pub use authentication::{CurrentUser, authenticate};
pub use compression::compress;
pub use cors::cors;
pub use failed_sign_ins::FailedSignIns;
pub use guard::guard;
pub use in_flight::admit;
pub use loopback::loopback_only;
pub use request::{Watch, around};
