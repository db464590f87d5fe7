//! What happens to every request before and after its handler.

mod authentication;
mod client_address;
mod compression;
mod cors;
mod exchange;
mod failed_sign_ins;
mod guard;
mod in_flight;
mod loopback;
mod origin_pattern;
mod problem;
mod request;

pub use authentication::{CurrentUser, authenticate};
pub use client_address::TrustedProxies;
pub use compression::compress;
pub use cors::cors;
pub use failed_sign_ins::FailedSignIns;
pub use guard::guard;
pub use in_flight::admit;
pub use loopback::loopback_only;
pub use origin_pattern::{NotAnOriginPattern, OriginPattern, is_host_name};
pub use request::{Watch, around};
