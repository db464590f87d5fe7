//! Tokens and addresses appear in nothing that is written down.

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
    CONNECTION_DATA, PROJECTS, adapter, answer, as_bearer, config, fixture, fixture_json, know, usuario,
};

const GOOD: &str = "goodpatgoodpatgoodpatgoodpatgoodpatgoodpatgoodpatgoo";
const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhY2Nlc3MiOiJ0b2tlbiJ9.YWNjZXNzdG9rZW4";
const STRANGER: &str = "strangerstrangerstrangerstrangerstrangerstrangerstra";

/// All that is logged, by everybody.
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

/// Every text that an error can be made to say.
fn told(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(format!("{error} {error:?}"), |text, cause| format!("{text} {cause} {cause:?}"))
}

#[tokio::test]
async fn no_token_and_no_address_is_ever_written_down() {
    let log = Log::default();
    // But for the stand-in for Azure, which prints the requests that it gets: Azure's own log is not ours.
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
            with_access(STRANGER),
            Credential::Basic { pat: STRANGER.into() },
        ]
    };
    let (well, hanging) = (MockServer::start().await, RawServer::start(Behaviour::Close).await);
    know(&well, basic_auth("", GOOD), "connectiondata_200_entra_user").await;
    know(&well, as_bearer(ACCESS), "connectiondata_200_entra_user").await;
    answer(&well, CONNECTION_DATA, fixture("signin_302_rejected_credential")).await;
    answer(&well, PROJECTS, fixture("error_403_permission")).await;
    let senseless = MockServer::start().await;
    let quotable = ResponseTemplate::new(200).set_body_json(json!({"authenticatedUser": "ana.lima@contoso.example"}));
    answer(&senseless, CONNECTION_DATA, quotable).await;
    let ill = MockServer::start().await;
    answer(&ill, CONNECTION_DATA, fixture("unauthorized_401_pat_expired_json").insert_header("retry-after", "60"))
        .await;

    let mut written = String::new();
    for uri in [well.uri(), senseless.uri(), ill.uri(), hanging.uri.clone()] {
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
                azure.list_verbatim(credential.clone()).await.err(),
                azure.find(credential, id).await.err(),
            ];
            written.extend(errors.iter().flatten().map(told));
        }
    }

    written += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("Azure DevOps answered") && written.contains("95b93aa1-9b16-5b66-b578-f3531f5ef0ef"));
    assert!(written.contains("TRACE"), "the libraries were heard as well");
    let signature = app_token.rsplit('.').next().unwrap();
    for secret in [GOOD, ACCESS, STRANGER, app_token, signature, key, "YWNjZXNzdG9rZW4", "ana.lima@contoso.example"] {
        let encoded = STANDARD.encode(format!(":{secret}"));
        for secret in [secret, encoded.trim_end_matches('=')] {
            let line = written.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}
