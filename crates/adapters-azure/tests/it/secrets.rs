//! Errors and logs contain no tokens and no e-mail addresses.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};

use adapters_azure::AppKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{AzureProjectId, Credential, Error, IdentityProvider, ProjectDirectory};
use serde_json::json;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use wiremock::matchers::basic_auth;
use wiremock::{MockServer, ResponseTemplate};

use crate::raw_server::{Behaviour, RawServer};
use crate::support::{
    CONNECTION_DATA, PROJECTS, adapter, as_bearer, config, fixture, fixture_json, know, respond, usuario,
};

const GOOD: &str = "goodpatgoodpatgoodpatgoodpatgoodpatgoodpatgoodpatgoo";
const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhY2Nlc3MiOiJ0b2tlbiJ9.YWNjZXNzdG9rZW4";
const UNKNOWN: &str = "unknownaunknownaunknownaunknownaunknownaunknownaunkn";

/// Collects the log of all crates.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// All text forms of an error and its causes.
fn texts_of(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(format!("{error} {error:?}"), |text, cause| format!("{text} {cause} {cause:?}"))
}

#[tokio::test]
async fn errors_and_logs_contain_no_token_and_no_email() {
    let log = Log::default();
    // Except that of the stand-in server, which logs the requests it receives.
    let filter = Targets::new().with_default(LevelFilter::TRACE).with_target("wiremock", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
    let tokens = fixture_json("tokens");
    let (key, app_token) = (tokens["secret"].as_str().unwrap(), tokens["app_token_valid"].as_str().unwrap());
    let audience = tokens["app_token_claims"]["aud"].as_str().unwrap();
    let with_access = |token: &str| Credential::Bearer { token: token.into(), azure_access_token: Some(ACCESS.into()) };
    let id = AzureProjectId::parse("ad70e5d0-def2-5124-bbdb-f6c44b2d056e").unwrap();
    let credentials = || {
        [
            with_access(GOOD),
            Credential::Basic { pat: GOOD.into() },
            Credential::Bearer { token: ACCESS.into(), azure_access_token: None },
            with_access(app_token),
            Credential::Bearer { token: app_token.into(), azure_access_token: None },
            with_access(&app_token[..app_token.len() - 1]),
            with_access(UNKNOWN),
            Credential::Basic { pat: UNKNOWN.into() },
        ]
    };
    let (healthy, hanging) = (MockServer::start().await, RawServer::start(Behaviour::Close).await);
    know(&healthy, basic_auth("", GOOD), "connectiondata_200_entra_user").await;
    know(&healthy, as_bearer(ACCESS), "connectiondata_200_entra_user").await;
    respond(&healthy, CONNECTION_DATA, fixture("signin_302_rejected_credential")).await;
    respond(&healthy, PROJECTS, fixture("error_403_permission")).await;
    let invalid = MockServer::start().await;
    let quotable = ResponseTemplate::new(200).set_body_json(json!({"authenticatedUser": "ana.lima@contoso.example"}));
    respond(&invalid, CONNECTION_DATA, quotable).await;
    let throttled = MockServer::start().await;
    respond(
        &throttled,
        CONNECTION_DATA,
        fixture("unauthorized_401_pat_expired_json").insert_header("retry-after", "60"),
    )
    .await;

    let mut written = String::new();
    for uri in [healthy.uri(), invalid.uri(), throttled.uri(), hanging.uri.clone()] {
        let mut config = config(&uri);
        config.extension_app_keys = AppKey::parse_list(&format!("{key}:{audience}").into()).unwrap();
        write!(written, "{config:?}").unwrap();
        let azure = adapter(&config);
        for credential in credentials() {
            write!(written, "{credential:?}").unwrap();
            let errors = [
                usuario(&azure, credential.clone()).await.err(),
                azure.authenticate(Some(credential.clone())).await.err(),
                azure.list(credential.clone()).await.err(),
                azure.list_raw(credential.clone()).await.err(),
                azure.find(credential, id).await.err(),
            ];
            written.extend(errors.iter().flatten().map(texts_of));
        }
    }

    written += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        written.contains("received response from Azure DevOps")
            && written.contains("95b93aa1-9b16-5b66-b578-f3531f5ef0ef")
    );
    assert!(written.contains("TRACE"), "the log of the libraries is missing");
    let signature = app_token.rsplit('.').next().unwrap();
    for secret in [GOOD, ACCESS, UNKNOWN, app_token, signature, key, "YWNjZXNzdG9rZW4", "ana.lima@contoso.example"] {
        let encoded = STANDARD.encode(format!(":{secret}"));
        for secret in [secret, encoded.trim_end_matches('=')] {
            let line = written.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}
