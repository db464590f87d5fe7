//! Whether and how the connection to the database is encrypted, with the modes of libpq
//! (<https://www.postgresql.org/docs/15/libpq-ssl.html#LIBPQ-SSL-PROTECTION>).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption if the server has it, whoever it is.
    #[default]
    Prefer,
    /// Encryption. With a root certificate the server has to show one of its making.
    Require,
    /// A certificate that an authority signed, for whatever host.
    VerifyCa,
    /// A certificate for this host.
    VerifyFull,
}

/// What a URL says of encryption. A certificate or key is the path of a PEM file, or the PEM itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    pub(crate) root_cert: Option<String>,
    pub(crate) client_cert: Option<String>,
    pub(crate) client_key: Option<SecretString>,
}

/// Why nothing can be encrypted as it is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the {what} cannot be read: {reason}")]
    Pem { what: &'static str, reason: String },
    #[error("sslcert and sslkey must be given together")]
    Half,
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] Error),
    #[error("TLS cannot be set up: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl TlsMode {
    /// Reads `sslmode`. `allow` encrypts only where a server refuses anything else, which a client of today has no use
    /// for: it is taken for `disable`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "disable" | "allow" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// What the driver has to know of it.
    pub(crate) const fn driver(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

impl Tls {
    /// What makes encrypted connections.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(&provider)?);
        let config = match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(&pem(key.expose_secret(), "client key")?);
                let key = key.map_err(|error| unreadable("client key", &error))?;
                builder.with_client_auth_cert(certificates(cert, "client certificate")?, key)?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(TlsError::Half),
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let names_count = match (self.mode, &self.root_cert) {
            (TlsMode::VerifyFull, _) => true,
            (TlsMode::VerifyCa, _) | (TlsMode::Require, Some(_)) => false,
            _ => return Ok(Arc::new(Lenient { authority: None, provider: provider.clone() })),
        };
        let mut roots = RootCertStore::empty();
        match &self.root_cert {
            Some(root) => {
                for certificate in certificates(root, "root certificate")? {
                    roots.add(certificate)?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        let lenient = |authority| Arc::new(Lenient { authority: Some(authority), provider: provider.clone() });
        Ok(if names_count { verifier } else { lenient(verifier) })
    }
}

fn certificates(text: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = pem(text, what)?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| unreadable(what, &error))
}

/// Whether it is the thing itself and not the name of its file.
pub(crate) fn is_pem(text: &str) -> bool {
    text.starts_with("-----BEGIN")
}

fn pem(text: &str, what: &'static str) -> Result<Vec<u8>, TlsError> {
    if is_pem(text) {
        return Ok(text.as_bytes().to_vec());
    }
    std::fs::read(text).map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &'static str, error: &dyn std::error::Error) -> TlsError {
    TlsError::Pem { what, reason: error.to_string() }
}

/// Asks less of a certificate than that an authority signed it for the host.
#[derive(Debug)]
struct Lenient {
    /// Who tells whether an authority signed it; without one, any certificate will do: encryption against those who only
    /// listen.
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
