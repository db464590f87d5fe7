//! Authentication. A middleware and not an extractor: actix polls the extractors of a handler concurrently and returns
//! the first error, so an unauthenticated client with an invalid body would get 422.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, ResponseError, web};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Caller, Credential, IdentityProvider};
use secrecy::SecretString;

use super::catch_panic::RouteContext;
use super::failed_sign_ins::{Attempt, FailedSignIns};
use super::http_observability::HttpObservability;
use crate::error::{ApiError, RequestRejection};
use crate::extract::accept::AcceptHeader;
use crate::openapi::component::api_component;

/// The user's access token, beside the extension's app token.
const AZURE_ACCESS_TOKEN: &str = "X-Azure-Access-Token";

/// Authenticates the caller of a route, or responds with the error. A path without a route passes through to its 404.
///
/// The route is looked up by the text that the router matches, which can differ from the path as it was sent.
///
/// # Errors
/// Those of the inner service. A rejection is a response, because an error would bypass the outer middleware.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(route) = request.resource_map().match_pattern(request.match_info().as_str()) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let context = request.extensions().get::<Rc<RouteContext>>().cloned().unwrap_or_default();
    // Both cells are empty here, so `set` cannot fail.
    let _ = context.route.set(route);
    let identified = identify(&request).await;
    let outcome = outcome(&identified);
    if let Some(observability) = request.app_data::<web::Data<HttpObservability>>() {
        observability.metrics.authenticated(outcome);
    }
    match identified {
        Ok(caller) => {
            let _ = context.user.set(caller.usuario.id.clone());
            request.extensions_mut().insert(AuthenticatedCaller(caller));
            let mut response = next.call(request).await?.map_into_boxed_body();
            if !response.headers().contains_key(CACHE_CONTROL) {
                response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
            }
            Ok(response)
        }
        Err(error) => {
            tracing::info!(outcome, "authentication failed");
            Ok(request.into_response(error.error_response()))
        }
    }
}

/// Returns the metric label of an authentication.
fn outcome(identified: &Result<Caller, ApiError>) -> &'static str {
    use domain::Error as E;
    match identified {
        Ok(_) => "ok",
        Err(ApiError::Domain { error: E::CredentialMissing, .. }) => "missing",
        Err(
            ApiError::Domain { error: E::CredentialRejected, .. }
            | ApiError::Rejected(RequestRejection::UnreadableCredential),
        ) => "rejected",
        Err(ApiError::Domain { error: E::Forbidden, .. }) => "forbidden",
        Err(ApiError::Domain {
            error: E::Unavailable { .. } | E::Overloaded { .. } | E::TimedOut { .. } | E::BadUpstream { .. },
            ..
        }) => "unavailable",
        Err(ApiError::Rejected(RequestRejection::TooManyFailures { .. })) => "limited",
        Err(_) => "error",
    }
}

async fn identify(request: &ServiceRequest) -> Result<Caller, ApiError> {
    let missing = "no identity provider in the application data";
    let identity = request.app_data::<web::Data<dyn IdentityProvider>>();
    let identity = identity.ok_or_else(|| domain::Error::internal(missing))?;
    let credential = credential(request)?;
    let attempt = match &credential {
        Some(credential) if !identity.recently_accepted(credential) => Some(attempt(request).await?),
        _ => None,
    };
    let identified = identity.authenticate(credential).await;
    if let Some(attempt) = attempt
        && !matches!(identified, Err(domain::Error::CredentialRejected))
    {
        attempt.succeeded();
    }
    Ok(identified?)
}

/// Starts a sign-in with an unknown credential, or rejects it if too many from the client's address have failed.
async fn attempt(request: &ServiceRequest) -> Result<Attempt, ApiError> {
    let missing = "no limit of failed sign-ins in the application data";
    let failed = request.app_data::<web::Data<FailedSignIns>>().ok_or_else(|| domain::Error::internal(missing))?;
    let observability = request.app_data::<web::Data<HttpObservability>>();
    let client = observability.and_then(|shared| shared.proxies.client(request.peer_addr(), request.headers()));
    let attempt = failed.attempt(client, Instant::now()).await;
    attempt.map_err(|retry_after| RequestRejection::TooManyFailures { retry_after }.into())
}

/// Parses the credential of `Authorization`. An unknown scheme is no credential, and neither is a repeated header,
/// because a proxy may have checked the other value.
fn credential(request: &ServiceRequest) -> Result<Option<Credential>, RequestRejection> {
    let header = |name: &str| {
        let mut values = request.headers().get_all(name);
        values.next().filter(|_| values.next().is_none())
    };
    let Some(authorization) = header(AUTHORIZATION.as_str()) else { return Ok(None) };
    let authorization = authorization.to_str().map_err(|_| RequestRejection::UnreadableCredential)?;
    let Some((scheme, value)) = authorization.trim().split_once(' ') else { return Ok(None) };
    let value = value.trim();
    if value.is_empty() {
        Ok(None)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        let access_token = header(AZURE_ACCESS_TOKEN).and_then(|token| token.to_str().ok()).map(str::trim);
        let azure_access_token = access_token.filter(|token| !token.is_empty()).map(SecretString::from);
        Ok(Some(Credential::Bearer { token: value.into(), azure_access_token }))
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pat = basic_password(value).ok_or(RequestRejection::UnreadableCredential)?;
        Ok(if pat.is_empty() { None } else { Some(Credential::Basic { pat: pat.into() }) })
    } else {
        Ok(None)
    }
}

/// Returns the password of Basic credentials. As in Azure DevOps the user name is ignored, so its encoding does not
/// matter (RFC 7617 leaves it open).
fn basic_password(encoded: &str) -> Option<String> {
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    let password = decoded.splitn(2, |byte| *byte == b':').nth(1)?;
    String::from_utf8(password.to_vec()).ok()
}

/// The caller that [`authenticate`] found, as an extension of the request.
#[derive(Clone)]
struct AuthenticatedCaller(Caller);

/// Returns the id of the authenticated user; all other clients share the empty id.
pub(super) fn user_id(request: &impl HttpMessage) -> String {
    request.extensions().get::<AuthenticatedCaller>().map(|caller| caller.0.usuario.id.clone()).unwrap_or_default()
}

/// The caller of a handler, which [`authenticate`] has found.
///
/// The extractor also responds 406 if the client does not accept JSON. A handler with other representations sets
/// `NEGOTIATES` and negotiates itself. DELETE has no body, so any `Accept` is fine.
pub struct CurrentUser<const NEGOTIATES: bool = false>(Caller);

impl<const NEGOTIATES: bool> Deref for CurrentUser<NEGOTIATES> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<const NEGOTIATES: bool> FromRequest for CurrentUser<NEGOTIATES> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(AuthenticatedCaller(caller)) = request.extensions().get::<AuthenticatedCaller>().cloned() else {
            return ready(Err(domain::Error::CredentialMissing.into()));
        };
        let is_acceptable =
            NEGOTIATES || *request.method() == Method::DELETE || AcceptHeader::from_request(request).json();
        ready(if is_acceptable { Ok(Self(caller)) } else { Err(RequestRejection::NotAcceptable.into()) })
    }
}

api_component!([const NEGOTIATES: bool] CurrentUser<NEGOTIATES> => ());

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use secrecy::ExposeSecret;

    use super::*;

    fn parsed(authorization: impl Into<Vec<u8>>) -> Result<Option<String>, RequestRejection> {
        let authorization = HeaderValue::from_bytes(&authorization.into()).unwrap();
        let request = TestRequest::default().insert_header((AUTHORIZATION, authorization)).to_srv_request();
        credential(&request).map(|credential| {
            credential.map(|credential| match credential {
                Credential::Bearer { token, .. } => format!("bearer {}", token.expose_secret()),
                Credential::Basic { pat } => format!("basic {}", pat.expose_secret()),
            })
        })
    }

    fn basic(text: impl AsRef<[u8]>) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[test]
    fn credential_is_a_bearer_token_or_the_password_of_basic() {
        let cases = [
            ("Bearer abc".to_owned(), Some("bearer abc")),
            ("bearer   abc ".to_owned(), Some("bearer abc")),
            (basic(":pat"), Some("basic pat")),
            (basic("user:p:at"), Some("basic p:at")),
            (basic("josé:pat"), Some("basic pat")),
            (basic(b"jos\xe9:pat"), Some("basic pat")),
            (basic(":"), None),
            ("Bearer".to_owned(), None),
            ("Bearer  ".to_owned(), None),
            ("Digest abc".to_owned(), None),
            ("abc".to_owned(), None),
        ];
        for (header, expected) in cases {
            assert_eq!(parsed(header.clone()).unwrap().as_deref(), expected, "{header:?}");
        }
    }

    #[test]
    fn credential_that_cannot_be_decoded_is_unreadable() {
        let cases = [
            b"Basic !!!".to_vec(),
            basic("pat").into_bytes(),
            basic(b":p\xe9").into_bytes(),
            b"Bearer \xe9".to_vec(),
            b"Bearer token\xe9".to_vec(),
        ];
        for header in cases {
            assert_eq!(parsed(header.clone()), Err(RequestRejection::UnreadableCredential), "{header:?}");
        }
    }
}
