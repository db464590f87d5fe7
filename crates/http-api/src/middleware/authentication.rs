//! Who is calling. A middleware and no extractor: actix polls the extractors of a handler side by side and the first
//! error wins, so a stranger with a bad body would get 422.

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
use apistos::ApiComponent;
use apistos::reference_or::ReferenceOr;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Caller, Credential, IdentityProvider};
use schemars::schema::Schema;
use secrecy::SecretString;

use super::Watch;
use super::failed_sign_ins::{Attempt, FailedSignIns};
use super::guard::Told;
use crate::error::{ApiError, Refusal};
use crate::extract::accept::Accepted;

/// The user's access token, beside the extension's app token.
const AZURE_ACCESS_TOKEN: &str = "X-Azure-Access-Token";

/// The list that can be had as CSV as well.
const LIST: &str = "/api/v1/atividades";

/// Establishes who is calling, or refuses. A path that does not exist is nobody's secret and goes through to its 404.
/// What exists is judged by the text that the router reads, which is not always the path as it was sent.
///
/// # Errors
/// Those of the inner service; a refusal is an answer, since an error would slip past the outer middleware.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(route) = request.resource_map().match_pattern(request.match_info().as_str()) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let told = request.extensions().get::<Rc<Told>>().cloned().unwrap_or_default();
    // Neither has been told before.
    let _ = told.route.set(route);
    let identified = identify(&request).await;
    let outcome = outcome(&identified);
    if let Some(watch) = request.app_data::<web::Data<Watch>>() {
        watch.metrics.authenticated(outcome);
    }
    match identified {
        Ok(_) if !can_be_answered(&request) => {
            Ok(request.into_response(ApiError::from(Refusal::NotAcceptable).error_response()))
        }
        Ok(caller) => {
            let _ = told.user.set(caller.usuario.id.clone());
            request.extensions_mut().insert(CurrentUser(caller));
            let mut answer = next.call(request).await?.map_into_boxed_body();
            if !answer.headers().contains_key(CACHE_CONTROL) {
                answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
            }
            Ok(answer)
        }
        Err(error) => {
            tracing::info!(outcome, "authentication refused");
            Ok(request.into_response(error.error_response()))
        }
    }
}

/// Whether the client takes what there is: JSON, but for the list that has other formats and judges for itself, and for
/// what is answered with nothing.
fn can_be_answered(request: &ServiceRequest) -> bool {
    match *request.method() {
        Method::DELETE => true,
        Method::GET if request.path() == LIST => true,
        _ => Accepted::by(request).json(),
    }
}

/// What an attempt came to, in one word.
fn outcome(identified: &Result<Caller, ApiError>) -> &'static str {
    use domain::Error as E;
    match identified {
        Ok(_) => "ok",
        Err(ApiError::Domain(E::CredentialMissing)) => "missing",
        Err(ApiError::Domain(E::CredentialRejected)) => "rejected",
        Err(ApiError::Domain(E::Forbidden)) => "forbidden",
        Err(ApiError::Domain(E::Unavailable { .. } | E::TimedOut { .. } | E::BadUpstream { .. })) => "unavailable",
        Err(ApiError::Refused(Refusal::TooManyFailures { .. })) => "limited",
        Err(_) => "error",
    }
}

async fn identify(request: &ServiceRequest) -> Result<Caller, ApiError> {
    let wired = "no identity provider is wired";
    let identity = request.app_data::<web::Data<dyn IdentityProvider>>();
    let identity = identity.ok_or_else(|| domain::Error::internal(wired))?;
    let credential = credential(request);
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

/// A sign-in with a credential that is not known, unless too many of the client's address have failed.
async fn attempt(request: &ServiceRequest) -> Result<Attempt, ApiError> {
    let wired = "no limit of failed sign-ins is wired";
    let failed = request.app_data::<web::Data<FailedSignIns>>().ok_or_else(|| domain::Error::internal(wired))?;
    let watch = request.app_data::<web::Data<Watch>>();
    let client = watch.and_then(|watch| watch.proxies.client(request.peer_addr(), request.headers()));
    let attempt = failed.attempt(client, Instant::now()).await;
    attempt.map_err(|retry_after| Refusal::TooManyFailures { retry_after }.into())
}

/// What the caller shows; a scheme that is not known, or a header that cannot be read, is nothing. So is a header that
/// comes twice: a proxy in front may have looked at the other one.
fn credential(request: &ServiceRequest) -> Option<Credential> {
    let header = |name: &str| {
        let mut values = request.headers().get_all(name);
        let value = values.next().filter(|_| values.next().is_none())?;
        value.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    };
    let (scheme, value) = header(AUTHORIZATION.as_str())?.split_once(' ')?;
    let value = value.trim();
    if value.is_empty() {
        None
    } else if scheme.eq_ignore_ascii_case("bearer") {
        let azure_access_token = header(AZURE_ACCESS_TOKEN).map(SecretString::from);
        Some(Credential::Bearer { token: value.into(), azure_access_token })
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
        // Azure DevOps takes any user name, so this does as well; the password is the token.
        let (_, pat) = decoded.split_once(':')?;
        if pat.is_empty() { None } else { Some(Credential::Basic { pat: pat.into() }) }
    } else {
        None
    }
}

/// The user on whose behalf a handler works: what [`authenticate`] found out.
#[derive(Clone)]
pub struct CurrentUser(Caller);

impl Deref for CurrentUser {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequest for CurrentUser {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.extensions().get::<Self>().cloned();
        ready(user.ok_or_else(|| domain::Error::CredentialMissing.into()))
    }
}

impl ApiComponent for CurrentUser {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        vec![]
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use secrecy::ExposeSecret;

    use super::*;

    fn shown(authorization: &str) -> Option<String> {
        let request = TestRequest::default().insert_header((AUTHORIZATION, authorization)).to_srv_request();
        credential(&request).map(|credential| match credential {
            Credential::Bearer { token, .. } => format!("bearer {}", token.expose_secret()),
            Credential::Basic { pat } => format!("basic {}", pat.expose_secret()),
        })
    }

    #[test]
    fn a_credential_is_a_bearer_token_or_the_password_of_basic() {
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        let cases = [
            ("Bearer abc".to_owned(), Some("bearer abc")),
            ("bearer   abc ".to_owned(), Some("bearer abc")),
            (basic(":pat"), Some("basic pat")),
            (basic("user:p:at"), Some("basic p:at")),
            (basic("pat"), None),
            (basic(":"), None),
            ("Basic !!!".to_owned(), None),
            ("Bearer".to_owned(), None),
            ("Bearer  ".to_owned(), None),
            ("Digest abc".to_owned(), None),
            ("abc".to_owned(), None),
        ];
        for (header, expected) in cases {
            assert_eq!(shown(&header).as_deref(), expected, "{header:?}");
        }
    }
}
