//! The findings of the probe.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use adapters_azure::{AzureConfig, Connection, OrgUrl, PatStatus, Probe, Product, Rejection, ServiceUrl};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::raw_server::{Behaviour, RawServer, closed_port};
use crate::support::{
    CONNECTION_DATA, PAT, PROJECTS, StandingClock, config, fixture, identity_with, kind, know_the_pat, respond,
};

fn probe(base: &str) -> Probe {
    Probe::new(&config(base)).unwrap()
}

async fn pat(server: &MockServer) -> PatStatus {
    probe(&server.uri()).pat(PAT.into(), Arc::new(StandingClock)).await
}

#[tokio::test]
async fn connection_names_the_cause_of_each_response() {
    let redirect =
        |status: u16, location: &str| ResponseTemplate::new(status).insert_header("location", location.to_owned());
    let renamed = "https://dev.azure.com/contoso-novo/_apis/connectionData?api-version=7.1-preview.1";
    let moved = || Connection::Moved("https://dev.azure.com/contoso-novo".to_owned());
    let cases = [
        ("moved, 301", redirect(301, renamed), moved()),
        ("moved, 302", redirect(302, renamed), moved()),
        ("moved, 308", redirect(308, "https://dev.azure.com/contoso-novo/"), moved()),
        ("organisation", fixture("error_404_org"), Connection::OrganisationNotFound),
        ("proxy", ResponseTemplate::new(407), Connection::ProxyAuthenticationRequired),
        ("outage", fixture("unavailable_503_html"), Connection::ServerError(503)),
        ("firewall", ResponseTemplate::new(403), Connection::Unexpected(403)),
        ("redirect without location", ResponseTemplate::new(302), Connection::Unexpected(302)),
    ];
    for (name, response, expected) in cases {
        let server = MockServer::start().await;
        respond(&server, CONNECTION_DATA, response).await;

        assert_eq!(probe(&server.uri()).connection().await.connection, expected, "{name}");
    }
}

#[tokio::test]
async fn connection_with_any_response_of_azure_to_an_anonymous_request_is_reachable() {
    let responses = [
        "unauthorized_401_suppress_empty",
        "signin_302_rejected_credential",
        "signin_203_html",
        "signin_200_html",
        "connectiondata_200_anonymous_bad_pat",
        "connectiondata_400_released_version",
    ];
    for name in responses {
        let server = MockServer::start().await;
        respond(&server, CONNECTION_DATA, fixture(name)).await;

        let report = probe(&server.uri()).connection().await;

        assert!(matches!(report.connection, Connection::Reachable(_)), "{name}: {report:?}");
        let requests = server.received_requests().await.unwrap();
        assert!(requests.iter().all(|request| !request.headers.contains_key("authorization")));
    }
}

#[tokio::test]
async fn connection_without_a_response_is_unreachable_or_timed_out() {
    let refused = probe(&closed_port().await).connection().await.connection;
    assert!(matches!(&refused, Connection::Unreachable(reason) if reason.contains("refused")), "{refused:?}");

    let silent = RawServer::start(Behaviour::Hang).await;
    let mut config = config(&silent.uri);
    config.timeouts.attempt = Duration::from_millis(200);
    assert_eq!(Probe::new(&config).unwrap().connection().await.connection, Connection::TimedOut);
}

#[tokio::test]
async fn clock_skew_is_the_difference_to_the_date_of_the_response() {
    let server = MockServer::start().await;
    let date = "Tue, 24 Nov 2020 12:00:00 GMT";
    respond(&server, CONNECTION_DATA, ResponseTemplate::new(401).insert_header("date", date)).await;

    let skew = probe(&server.uri()).connection().await.clock_skew.unwrap();

    assert!(Duration::from_hours(24 * 365) < skew, "{skew:?}");
}

/// A TLS server on loopback whose certificate is signed by «Contoso Root». Returns its port.
fn tls_server() -> u16 {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Contoso Root");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let certificate = CertificateDer::from(certificate.der().to_vec());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.flush();
        }
    });
    port
}

#[tokio::test]
async fn connection_to_a_server_of_an_unknown_authority_names_the_issuer() {
    let org_url = OrgUrl::parse(&format!("https://localhost:{}/contoso", tls_server())).unwrap();
    let config = AzureConfig { org_url: Some(org_url), ..AzureConfig::default() };

    let connection = Probe::new(&config).unwrap().connection().await.connection;

    let Connection::UnknownIssuer(Some(issuer)) = &connection else { panic!("{connection:?}") };
    assert!(issuer.contains("Contoso Root"), "{issuer}");
}

#[tokio::test]
async fn pat_that_is_rejected_has_the_reason() {
    let cases = [
        ("unauthorized_401_pat_expired_json", Rejection::Expired),
        ("unauthorized_401_pat_revoked", Rejection::Unauthorized),
        ("signin_203_html", Rejection::SignInPage),
        ("signin_302_rejected_credential", Rejection::SignInPage),
        ("connectiondata_200_anonymous_bad_pat", Rejection::Anonymous),
    ];
    for (name, expected) in cases {
        let server = MockServer::start().await;
        respond(&server, CONNECTION_DATA, fixture(name)).await;

        let status = pat(&server).await;

        assert!(matches!(status, PatStatus::Rejected(reason) if reason == expected), "{name}: {status:?}");
    }
}

#[tokio::test]
async fn pat_that_is_accepted_names_owner_and_product() {
    let cases = [
        (fixture("connectiondata_200_entra_user"), "Azure DevOps Services"),
        (
            identity_with(|body| body["deploymentType"] = json!("OnPremises")),
            "Azure DevOps Server 2022.1 or later (REST API 7.1)",
        ),
    ];
    for (identity, expected) in cases {
        let server = MockServer::start().await;
        respond(&server, CONNECTION_DATA, identity).await;
        respond(&server, PROJECTS, fixture("projects_200")).await;

        let status = pat(&server).await;

        let PatStatus::Accepted(usuario, product) = &status else { panic!("{status:?}") };
        assert_eq!((usuario.display_name.as_str(), product.to_string().as_str()), ("Ana Lima", expected));
    }
}

#[tokio::test]
async fn pat_on_an_older_server_names_its_release_and_a_too_old_one_its_version() {
    let out_of_range = |maximum: &str| {
        ResponseTemplate::new(400).set_body_json(json!({
            "typeKey": "VssVersionOutOfRangeException",
            "message": format!(
                "The requested REST API version of 7.1 is out of range for this server. The latest REST API version \
                 this server supports is {maximum}."
            ),
        }))
    };
    let server = MockServer::start().await;
    let newest = |request: &wiremock::Request| request.url.as_str().contains("api-version=7.");
    Mock::given(newest).respond_with(out_of_range("6.1")).mount(&server).await;
    respond(&server, CONNECTION_DATA, identity_with(|body| body["deploymentType"] = json!("onPremises"))).await;
    respond(&server, PROJECTS, fixture("projects_200")).await;

    let status = pat(&server).await;
    let PatStatus::Accepted(_, product @ Product::Server(_)) = &status else { panic!("{status:?}") };
    assert_eq!(product.to_string(), "Azure DevOps Server 2020 (REST API 6.0)");

    server.reset().await;
    respond(&server, CONNECTION_DATA, out_of_range("4.1")).await;
    let status = pat(&server).await;
    let PatStatus::UnsupportedVersion(reason) = &status else { panic!("{status:?}") };
    assert!(reason.contains("is 4.1; Azure DevOps Server 2019 or later"), "{reason}");
}

#[tokio::test]
async fn pat_without_access_to_projects_or_of_a_moved_organisation_says_so() {
    let server = MockServer::start().await;
    know_the_pat(&server).await;
    respond(&server, PROJECTS, fixture("unauthorized_401_missing_scope")).await;
    let status = pat(&server).await;
    assert!(matches!(status, PatStatus::ProjectsDenied(Product::Services)), "{status:?}");

    server.reset().await;
    let moved = ResponseTemplate::new(302).insert_header("location", "https://dev.azure.com/Novo/_apis/x?token=1");
    Mock::given(method("GET"))
        .and(path(CONNECTION_DATA))
        .and(header_exists("authorization"))
        .respond_with(moved)
        .mount(&server)
        .await;
    let status = pat(&server).await;
    assert!(matches!(&status, PatStatus::Moved(new) if new == "https://dev.azure.com/Novo"), "{status:?}");

    server.reset().await;
    respond(&server, CONNECTION_DATA, fixture("unavailable_503_json")).await;
    let status = pat(&server).await;
    assert!(matches!(&status, PatStatus::Failed(error) if kind(error) == "unavailable"), "{status:?}");
}

#[tokio::test]
async fn probe_without_organisation_checks_the_profile_service() {
    let server = MockServer::start().await;
    respond(&server, "/_apis/profile/profiles/me", fixture("profile_me_200")).await;
    let profile_base_url = Some(ServiceUrl::parse(&server.uri()).unwrap());
    let probe = Probe::new(&AzureConfig { profile_base_url, ..AzureConfig::default() }).unwrap();

    assert_eq!(probe.address(), server.uri());
    assert!(matches!(probe.connection().await.connection, Connection::Reachable(_)));
    let status = probe.pat(PAT.into(), Arc::new(StandingClock)).await;
    assert!(matches!(status, PatStatus::Accepted(_, Product::Services)), "{status:?}");
}
