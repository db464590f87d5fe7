//! Media types of requests and responses.

/// JSON, as clients name it.
pub const JSON: &str = "application/json";
/// JSON, as responses name it.
pub const JSON_UTF8: &str = "application/json; charset=utf-8";
/// Problem details (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Comma-separated values (RFC 4180).
pub const CSV: &str = "text/csv";
