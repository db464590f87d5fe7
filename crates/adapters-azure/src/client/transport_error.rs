//! Conversion of `reqwest::Error`. No other module reads that type.

use std::error::Error as StdError;

use domain::Error;

use super::call_error::CallError;
use crate::error::{AzureError, ErrorDetail};

/// The client cannot be built, for example because the machine has no root certificates.
pub(crate) fn from_build(error: reqwest::Error) -> Error {
    Error::internal(describe(error))
}

/// The request was not sent, or no response head arrived.
pub(crate) fn from_send(error: reqwest::Error) -> CallError {
    let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
    let is_malformed = causes(&error).any(|e| e.downcast_ref().is_some_and(hyper::Error::is_parse));
    let text = describe(error);
    let error = match () {
        () if is_malformed => AzureError::invalid_response(text),
        () if is_timeout && !is_connect => AzureError::TimedOut(ErrorDetail::new(text)),
        () => AzureError::unavailable(None, text),
    };
    CallError { error, trips_breaker: true, is_retryable: !is_timeout && !is_malformed, version_rejection: None }
}

/// The response body is incomplete.
pub(crate) fn from_body(error: reqwest::Error) -> CallError {
    CallError {
        error: AzureError::invalid_response(describe(error)),
        trips_breaker: true,
        is_retryable: true,
        version_rejection: None,
    }
}

/// Returns the error and its causes in one line, without the URL, which may hold a continuation token.
fn describe(error: reqwest::Error) -> String {
    causes(&error.without_url()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}
