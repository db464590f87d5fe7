//! One HTTP exchange: no redirects, a bounded body, no secrets in the log.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use tokio::time::Instant;

use super::api_version::ApiVersion;
use super::byte_budget::{ByteBudget, ReservedBytes};
use super::call::{Body, Call};
use super::call_error::CallError;
use super::io_runtime::IoRuntime;
use super::response::Response;
use super::transport_error;
use crate::config::AzureConfig;
use crate::error::{AzureError, Rejection};

/// The header of the W3C trace context (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Makes Azure DevOps reject a credential with 401 instead of a redirect to the sign-in page.
const SUPPRESS_REDIRECT: HeaderName = HeaderName::from_static("x-tfs-fedauthredirect");

/// Returns the settings of the client for all calls. It never follows redirects, because the credential would be forwarded.
pub(crate) fn client_builder(config: &AzureConfig, is_loopback: bool) -> ClientBuilder {
    // An `Err` means that a provider is already installed, and any provider will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    if config.suppress_sign_in_redirect {
        headers.insert(SUPPRESS_REDIRECT, HeaderValue::from_static("Suppress"));
    }
    let builder = Client::builder()
        .user_agent(concat!("api-aponta/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(Policy::none())
        .connect_timeout(config.timeouts.connect);
    if is_loopback { builder.no_proxy() } else { builder }
}

/// Sends `call` once on `runtime`, in the negotiated `version`, with the header that `traceparent` returns, and reads the whole
/// response within `budget`.
pub(crate) async fn send(
    client: &Client,
    runtime: &IoRuntime,
    call: &Call<'_>,
    version: ApiVersion,
    traceparent: Option<fn() -> Option<String>>,
    budget: Option<&ByteBudget>,
) -> Result<Response, CallError> {
    let authorization =
        call.credential.authorization(call.scheme).ok_or(AzureError::Rejected(Rejection::NotConfirmed))?;
    let started = Instant::now();
    let mut url = call.url.clone();
    url.query_pairs_mut().append_pair("api-version", &call.version.parameter(version));
    let request = match &call.body {
        Some(Body::Query(json)) => client.post(url).header(CONTENT_TYPE, "application/json").body(json.clone()),
        Some(Body::Patch(json)) => {
            client.patch(url).header(CONTENT_TYPE, "application/json-patch+json").body(json.clone())
        }
        None => client.get(url),
    };
    let request = request.header(AUTHORIZATION, authorization);
    let request = match traceparent.and_then(|current| current()) {
        Some(current) => request.header(TRACEPARENT, current),
        None => request,
    };
    let response = runtime.run(exchange(request, call.max_bytes, budget.map(ByteBudget::reserve))).await??;
    tracing::debug!(
        url.template = call.url_template,
        scheme = ?call.scheme,
        status = response.status(),
        activity_id = response.activity_id().map(tracing::field::display),
        elapsed_ms = started.elapsed().as_millis(),
        "received response from Azure DevOps"
    );
    Ok(response)
}

async fn exchange(
    request: RequestBuilder,
    max_bytes: usize,
    mut reserved: Option<ReservedBytes>,
) -> Result<Response, CallError> {
    let mut response = request.send().await.map_err(transport_error::from_send)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport_error::from_body)? {
        if max_bytes < body.len() + chunk.len() {
            return Err(AzureError::invalid_response(format!("response body exceeds {max_bytes} bytes")).into());
        }
        if let Some(reserved) = &mut reserved {
            reserved.grow(chunk.len())?;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::new(response.status(), response.headers(), body).holding(reserved))
}
