//! The issuer of a certificate that this machine does not trust.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client::client_builder;
use crate::config::AzureConfig;
use crate::service_url::ServiceUrl;

/// Records the issuer of the presented chain and rejects every certificate, so that no request is ever sent.
#[derive(Debug)]
struct IssuerRecorder {
    provider: CryptoProvider,
    issuer: Mutex<Option<String>>,
}

/// Connects to `url` and returns the distinguished name of the authority that signed the presented chain.
pub(super) async fn presented_issuer(config: &AzureConfig, base: &ServiceUrl, url: Url) -> Option<String> {
    let recorder = Arc::new(IssuerRecorder { provider: ring::default_provider(), issuer: Mutex::new(None) });
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<IssuerRecorder>::clone(&recorder))
        .with_no_client_auth();
    let builder = client_builder(config, base.is_loopback()).timeout(config.timeouts.attempt);
    let client = builder.tls_backend_preconfigured(tls).build().ok()?;
    drop(client.get(url).send().await);
    recorder.issuer.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl ServerCertVerifier for IssuerRecorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let last = intermediates.last().unwrap_or(end_entity);
        let issuer = X509Certificate::from_der(last).ok().map(|(_, certificate)| certificate.issuer().to_string());
        *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = issuer;
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
