//! The rate limit of authenticated persons: 429, and the quota in each response.
//!
//! `RateLimit` and `RateLimit-Policy` follow
//! [draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use domain::{RateDecision, RateLimit};

use super::authentication::user_id;
use super::http_observability::HttpObservability;
use crate::error::{ApiError, RequestRejection};
use crate::limits::person_rates::PersonRates;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Responds 429 if the authenticated person has used up their quota. Requests without a person pass.
///
/// # Errors
/// Those of the inner service. A rejection is a response.
pub async fn limit_rate(
    observability: Data<HttpObservability>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let person = user_id(&request);
    let rates = request.app_data::<Data<PersonRates>>().filter(|_| !person.is_empty()).cloned();
    let Some(rates) = rates else { return next.call(request).await.map(ServiceResponse::map_into_boxed_body) };
    let decision = rates.decide(&person).await;
    let mut response = if let Some(retry_after) = decision.retry_after {
        observability.metrics.rate_limited();
        request.into_response(ApiError::from(RequestRejection::TooManyRequests { retry_after }).error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    announce(response.headers_mut(), rates.limit(), decision);
    Ok(response)
}

/// Adds the quota and what is left of it.
fn announce(headers: &mut HeaderMap, limit: RateLimit, decision: RateDecision) {
    let policy = format!(r#""pessoa";q={};w={}"#, limit.quota(), seconds(limit.window()));
    let state = format!(r#""pessoa";r={};t={}"#, decision.remaining, seconds(decision.reset_after));
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// Returns whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(0 < duration.subsec_nanos())
}
