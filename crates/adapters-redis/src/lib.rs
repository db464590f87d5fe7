//! Adapter for Valkey, or Redis: memory that the replicas of the service share.
//!
//! [`SharedMemory`] implements the ports `SharedIdentities` and `SharedRates`. The server is trusted with nothing: it stores
//! neither tokens nor names of persons, it reads no identity, and an entry that this service did not write authenticates no request.
//!
//! | module | content |
//! |---|---|
//! | `config`, `keys` | the address, the tenant, and the keys derived from one secret |
//! | `seal` | identities as authenticated ciphertext with their expiry |
//! | `link` | one connection, which is given up when the server is late |
//! | `identities`, `rates` | the two ports |
//! | `diagnosis` | what `aponta doctor` reports |

mod config;
mod diagnosis;
mod identities;
mod keys;
mod link;
mod metrics;
mod rates;
mod seal;
mod shared_memory;

pub use config::{Config, InvalidConfig};
pub use diagnosis::Diagnosis;
pub use shared_memory::SharedMemory;
