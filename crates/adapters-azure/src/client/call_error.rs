//! A failed call, and what follows from it for later calls.

use crate::error::Failure;

/// A failure, and what follows from it for the calls to come.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    /// Whether it is the circuit breaker's concern.
    pub(crate) is_illness: bool,
    /// Whether the same call may do better in a moment.
    pub(crate) may_pass: bool,
}

/// A failure that is about this call alone: Azure itself is well.
impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, is_illness: false, may_pass: false }
    }
}
