//! `aponta doctor` names the cause of a failed connection to Azure DevOps.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use e2e::azure::{Endpoint, Organisation};
use e2e::server::{Directory, Program};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wiremock::ResponseTemplate;

use super::ANA;

/// The lines of the report about Azure DevOps and the PAT.
fn report(organisation: &str, certificates: Option<&str>) -> Vec<String> {
    let program = Program::new(&["doctor"]).development().env("AZURE_DEVOPS_PAT", ANA);
    let program = certificates.into_iter().fold(program, |program, file| program.env("SSL_CERT_FILE", file));
    let finished = program
        .env("DATABASE_URL", "postgresql://ana@127.0.0.1:1/aponta")
        .env("AZURE_DEVOPS_ORG_URL", organisation)
        .run();
    let output = finished.stdout();
    let is_about_azure = |line: &&str| line.contains("  Azure DevOps  ") || line.contains("  token  ");
    output.lines().filter(is_about_azure).map(str::to_owned).collect()
}

#[tokio::test]
async fn moved_organisation_is_named_with_its_new_address() {
    let organisation = Organisation::start().await;
    let new = "https://dev.azure.com/exemplo-novo";
    let moved = ResponseTemplate::new(301).insert_header("location", format!("{new}/_apis/connectionData?a=1"));
    organisation.respond_with(Endpoint::Identity, moved);

    let lines = report(&organisation.url(), None);

    let expected = format!("moved to {new}: set that as AZURE_DEVOPS_ORG_URL");
    assert!(
        lines.len() == 2 && lines.iter().all(|line| line.starts_with("WRONG ") && line.ends_with(&expected)),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn sign_in_page_and_expired_pat_are_told_apart() {
    let organisation = Organisation::start().await;
    let html = ResponseTemplate::new(203).set_body_raw("<title>Sign In</title>", "text/html");
    let expired = ResponseTemplate::new(401).set_body_raw(r#"{"typeKey":"AccessCheckException"}"#, "application/json");

    for (response, cause) in [(html, "responds with its sign-in page"), (expired, "it has expired")] {
        organisation.respond_with(Endpoint::Identity, response);
        let lines = report(&organisation.url(), None);
        assert!(lines[0].starts_with("ok "), "{lines:#?}");
        assert!(lines[1].starts_with("WRONG ") && lines[1].contains(cause), "{lines:#?}");
    }
}

#[tokio::test]
async fn server_too_old_is_named_with_its_version() {
    let organisation = Organisation::start().await;
    let body = r#"{"typeKey":"VssVersionOutOfRangeException","message":"The requested REST API version of 7.1 is out of range for this server. The latest REST API version this server supports is 4.1."}"#;
    organisation.respond_with(Endpoint::Identity, ResponseTemplate::new(400).set_body_raw(body, "application/json"));

    let lines = report(&organisation.url(), None);

    assert!(lines[1].contains("version too old: the newest REST API version of the server is 4.1"), "{lines:#?}");
}

/// A TLS server on loopback that responds 401, and the PEM file of its authority «Contoso Root».
fn tls_server(files: &Directory) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Contoso Root");
    let root = files.path().join("root.pem");
    std::fs::write(&root, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(params.signed_by(&key, &issuer).unwrap().der().to_vec());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ =
                    stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, root.to_str().unwrap().to_owned())
}

#[test]
fn certificate_of_an_unknown_authority_is_named_and_accepted_by_ssl_cert_file() {
    let files = Directory::new();
    let (port, root) = tls_server(&files);
    let organisation = format!("https://localhost:{port}/exemplo");

    let lines = report(&organisation, None);
    assert!(lines[0].starts_with("WRONG ") && lines[0].contains("unknown issuer of the certificate: "), "{lines:#?}");
    assert!(lines[0].contains("Contoso Root") && lines[0].ends_with("SSL_CERT_FILE"), "{lines:#?}");

    let lines = report(&organisation, Some(&root));
    assert!(lines[0].starts_with("ok "), "{lines:#?}");
}
