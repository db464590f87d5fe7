//! What the HTTP client's errors mean. Nothing else reads them.

use std::error::Error as StdError;

use domain::Error;

use super::call_error::Fault;
use crate::error::{Failure, Seen};

/// No client could be made, for example because the machine has no certificates of authorities.
pub(crate) fn on_build(error: reqwest::Error) -> Error {
    Error::internal(told(error))
}

/// The request was not sent, or no head of an answer came.
pub(crate) fn on_send(error: reqwest::Error) -> Fault {
    let (is_connect, is_slow) = (error.is_connect(), error.is_timeout());
    let is_nonsense = causes(&error).any(|e| e.downcast_ref().is_some_and(hyper::Error::is_parse));
    let text = told(error);
    let failure = match () {
        () if is_nonsense => Failure::senseless(text),
        () if is_slow && !is_connect => Failure::TimedOut(Seen::new(text)),
        () => Failure::unavailable(None, text),
    };
    Fault { failure, is_illness: true, may_pass: !is_slow && !is_nonsense }
}

/// The body ended too early.
pub(crate) fn on_body(error: reqwest::Error) -> Fault {
    Fault { failure: Failure::senseless(told(error)), is_illness: true, may_pass: true }
}

/// The error and its causes in one line, without the address: the next token of a page is part of it.
fn told(error: reqwest::Error) -> String {
    causes(&error.without_url()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}
