//! One request and its answer: no redirects, a bounded body, nothing secret in the log.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use tokio::time::Instant;

use super::call::Call;
use super::call_error::Fault;
use super::io_runtime::Lines;
use super::response::Answer;
use super::transport_error;
use crate::config::AzureConfig;
use crate::error::Failure;

/// The header of the W3C trace context (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Turns the redirect of a rejected credential into a 401.
const SUPPRESS: HeaderName = HeaderName::from_static("x-tfs-fedauthredirect");

/// The client for all calls. Redirects are never followed: the credential would go along.
pub(crate) fn client(config: &AzureConfig, is_loopback: bool) -> Result<Client, domain::Error> {
    // An `Err` says that a provider is installed already, by this or by somebody else, and any will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    if config.suppress_sign_in_redirect {
        headers.insert(SUPPRESS, HeaderValue::from_static("Suppress"));
    }
    let builder = Client::builder()
        .user_agent(concat!("api-aponta/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(Policy::none())
        .connect_timeout(config.timeouts.connect);
    let builder = if is_loopback { builder.no_proxy() } else { builder };
    builder.build().map_err(transport_error::on_build)
}

/// Sends `call` once over `lines`, as part of the trace that `traceparent` tells, and reads the answer to its end.
pub(crate) async fn get(
    client: &Client,
    lines: &Lines,
    call: &Call<'_>,
    traceparent: Option<fn() -> Option<String>>,
) -> Result<Answer, Fault> {
    let authorization = call.shown.authorization(call.scheme).ok_or(Failure::Rejected)?;
    let started = Instant::now();
    let request = client.get(call.url.clone()).header(AUTHORIZATION, authorization);
    let request = match traceparent.and_then(|current| current()) {
        Some(current) => request.header(TRACEPARENT, current),
        None => request,
    };
    let answer = lines.run(answer(request, call.max_bytes)).await??;
    tracing::debug!(
        call = call.name,
        scheme = ?call.scheme,
        status = answer.status(),
        activity_id = answer.activity().map(tracing::field::display),
        elapsed_ms = started.elapsed().as_millis(),
        "Azure DevOps answered"
    );
    Ok(answer)
}

async fn answer(request: RequestBuilder, max_bytes: usize) -> Result<Answer, Fault> {
    let mut response = request.send().await.map_err(transport_error::on_send)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport_error::on_body)? {
        if max_bytes < body.len() + chunk.len() {
            return Err(Failure::senseless(format!("an answer of more than {max_bytes} bytes")).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer::new(response.status(), response.headers(), body))
}
