//! Responses 500, for the observer of the process.

use std::sync::Arc;

/// A request that was responded with 500. It names nothing that the access log does not contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The method of the request.
    pub method: &'static str,
    /// The template of the path, or `unknown`.
    pub route: String,
    /// The id of the request.
    pub request_id: String,
    /// The id of the trace.
    pub trace_id: String,
    /// Why.
    pub cause: ServerErrorCause,
}

/// Why a response is a 500.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerErrorCause {
    /// An error with its sources, as the log contains it.
    Error(String),
    /// The handler panicked there.
    Panic {
        /// File, line and column, or `unknown`.
        location: String,
    },
}

/// Observes every response 500. It is called on the thread of the request, so it must not block.
pub type ServerErrorObserver = Arc<dyn Fn(ServerError) + Send + Sync>;
