//! The content of an event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http_api::{ServerError, ServerErrorCause};
use sentry_types::protocol::v7::{Event, Exception};

use super::scrub::scrub;

/// What all events of this process say.
pub(super) struct Origin {
    environment: &'static str,
}

impl Origin {
    pub(super) const fn new(environment: &'static str) -> Self {
        Self { environment }
    }

    /// A response 500. Events of one route and one error are an issue.
    pub(super) fn server_error(&self, error: ServerError) -> Event<'static> {
        let ServerError { method, route, request_id, trace_id, cause } = error;
        let (kind, text) = match cause {
            ServerErrorCause::Error(text) => ("InternalError", scrub(&text)),
            ServerErrorCause::Panic { location } => ("Panic", location),
        };
        let place = format!("{method} {route}");
        let tags =
            [("method", method.to_owned()), ("route", route), ("request_id", request_id), ("trace_id", trace_id)];
        self.event(kind, text, place, tags)
    }

    /// A panic of a background task.
    pub(super) fn panic(&self, location: String) -> Event<'static> {
        self.event("Panic", location, "background".to_owned(), [])
    }

    /// A job that is not tried again.
    pub(super) fn dead_job(&self, job: &'static str, reason: &'static str) -> Event<'static> {
        self.event("DeadJob", reason.to_owned(), job.to_owned(), [("job", job.to_owned())])
    }

    fn event<const N: usize>(
        &self,
        kind: &'static str,
        text: String,
        place: String,
        tags: [(&str, String); N],
    ) -> Event<'static> {
        let fingerprint = [place.clone(), kind.to_owned(), text.clone()].map(Cow::Owned);
        let exception = Exception { ty: kind.to_owned(), value: Some(text), ..Exception::default() };
        Event {
            fingerprint: Cow::Owned(fingerprint.to_vec()),
            transaction: Some(place),
            platform: Cow::Borrowed("native"),
            release: Some(Cow::Borrowed(concat!("aponta@", env!("CARGO_PKG_VERSION")))),
            environment: Some(Cow::Borrowed(self.environment)),
            exception: vec![exception].into(),
            tags: tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
            ..Event::default()
        }
    }
}
