//! Whether and how a connection is encrypted: the modes of libpq, as far as sqlx keeps what they promise.
//!
//! sqlx trusts the public authorities beside a root certificate of the URL. Without a check of the host name, a public
//! certificate for any name would do, and `verify-ca` would promise nothing. So `verify-ca`, and `require` with a root
//! certificate, which libpq treats alike, are checked as `verify-full`.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::{Host, InvalidUrl};

/// More than the certificates of all authorities need.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// How much is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption if the server offers it, without a check of its certificate. libpq's `allow` as well.
    #[default]
    Prefer,
    /// Encryption without a check of the certificate.
    Require,
    /// A certificate of a trusted authority for this host.
    Verify,
}

/// What the URL says of encryption. A certificate or key is the name of a PEM file, or the PEM itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    /// Trusted beside the public authorities.
    root: Option<String>,
    client: Option<(String, SecretString)>,
}

/// Why certificates or key cannot be used. No text shows the name of a file or what it holds.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("the file that {parameter} names cannot be read: {error}")]
    Unreadable {
        /// The parameter of the URL.
        parameter: &'static str,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{parameter} {problem}")]
    Unusable {
        /// The parameter of the URL.
        parameter: &'static str,
        /// What is wrong, in words.
        problem: &'static str,
    },
    /// TLS has no name to check.
    #[error("the host is no name or address that a certificate can be issued for; use another, or sslmode=disable")]
    ServerName,
    /// rustls rejects what was read.
    #[error("{parameter} cannot be used: {error}")]
    Rustls {
        /// The parameter of the URL.
        parameter: &'static str,
        /// The reason.
        error: rustls::Error,
    },
}

impl TlsMode {
    /// Reads `sslmode`, and `ssl` of other drivers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "disable" | "false" | "off" | "no" | "0" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            // `no-verify` is node-postgres' word for libpq's `require`.
            "require" | "no-verify" | "true" | "on" | "yes" | "1" => Self::Require,
            "verify-ca" | "verify-full" => Self::Verify,
            _ => return None,
        })
    }
}

impl Tls {
    /// What the parameters mean together.
    pub(crate) fn new(
        mode: Option<TlsMode>,
        root: Option<String>,
        cert: Option<String>,
        key: Option<String>,
    ) -> Result<Self, InvalidUrl> {
        let is_system = root.as_deref() == Some("system");
        let mode = match (mode, &root) {
            (Some(TlsMode::Require), Some(_)) if !is_system => TlsMode::Verify,
            (Some(mode), Some(_)) if is_system && mode != TlsMode::Verify => {
                return Err(InvalidUrl::refused("sslrootcert=system", "needs sslmode=verify-full"));
            }
            (Some(mode), _) => mode,
            // An operator who names an authority wants it checked.
            (None, Some(_)) => TlsMode::Verify,
            (None, None) => TlsMode::default(),
        };
        let client = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key.into())),
            (None, None) => None,
            _ => return Err(InvalidUrl::refused("sslcert", "and sslkey must be given together")),
        };
        Ok(Self { mode, root: root.filter(|_| !is_system), client })
    }

    /// Whether sqlx would take a client certificate from the environment.
    pub(crate) fn takes_client_from_environment(&self) -> bool {
        self.mode != TlsMode::Disable && self.client.is_none()
    }

    /// Adds the mode and, read anew and checked, the certificates to `options`.
    pub(crate) fn apply(&self, host: &Host, options: PgConnectOptions) -> Result<PgConnectOptions, TlsError> {
        let mode = if host.is_socket() { TlsMode::Disable } else { self.mode };
        // Always set: sqlx would otherwise take the name of a file from the environment.
        let options = options.ssl_root_cert_from_pem(Vec::new());
        let options = match mode {
            TlsMode::Disable => return Ok(options.ssl_mode(PgSslMode::Disable)),
            TlsMode::Prefer => options.ssl_mode(PgSslMode::Prefer),
            TlsMode::Require => options.ssl_mode(PgSslMode::Require),
            TlsMode::Verify => options.ssl_mode(PgSslMode::VerifyFull),
        };
        ServerName::try_from(host.name.as_str()).map_err(|_| TlsError::ServerName)?;
        let options = match &self.root {
            Some(root) if mode == TlsMode::Verify => options.ssl_root_cert_from_pem(checked_root(root)?),
            _ => options,
        };
        let Some((cert, key)) = &self.client else { return Ok(options) };
        let (cert, key) = checked_client(cert, key.expose_secret())?;
        Ok(options.ssl_client_cert_from_pem(cert).ssl_client_key_from_pem(key))
    }
}

fn checked_root(source: &str) -> Result<Vec<u8>, TlsError> {
    let parameter = "sslrootcert";
    let pem = read(source, parameter)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&pem, parameter)? {
        roots.add(certificate).map_err(|error| TlsError::Rustls { parameter, error })?;
    }
    Ok(pem)
}

fn checked_client(cert: &str, key: &str) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let (cert, key) = (read(cert, "sslcert")?, read(key, "sslkey")?);
    if key.windows(9).any(|window| window == b"ENCRYPTED") {
        let problem = "is encrypted with a passphrase; decrypt it, for example with openssl pkey";
        return Err(TlsError::Unusable { parameter: "sslkey", problem });
    }
    let der = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable("sslkey", &error))?;
    let parameter = "sslcert";
    let chain = certificates(&cert, parameter)?;
    // As sqlx does when it connects.
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(RootCertStore::empty()))
        .and_then(|builder| builder.with_client_auth_cert(chain, der))
        .map_err(|error| TlsError::Rustls { parameter: "sslcert with sslkey", error })?;
    Ok((cert, key))
}

fn certificates(pem: &[u8], parameter: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read.map_err(|error| unusable(parameter, &error))? {
        empty if empty.is_empty() => Err(unusable(parameter, &pem::Error::NoItemsFound)),
        certificates => Ok(certificates),
    }
}

/// Says no more than this: the error may hold a line of the key.
fn unusable(parameter: &'static str, error: &pem::Error) -> TlsError {
    let problem = match error {
        pem::Error::NoItemsFound if parameter == "sslkey" => "holds no private key in PEM",
        pem::Error::NoItemsFound => "holds no certificate in PEM",
        _ => "is not valid PEM",
    };
    TlsError::Unusable { parameter, problem }
}

fn read(source: &str, parameter: &'static str) -> Result<Vec<u8>, TlsError> {
    if source.trim_start().starts_with("-----BEGIN") {
        return Ok(source.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    let read = File::open(source).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read.map_err(|error| TlsError::Unreadable { parameter, error })? {
        size if MAX_BYTES < size as u64 => Err(TlsError::Unusable { parameter, problem: "is larger than 4 MiB" }),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use crate::Conninfo;

    fn encoded(pem: &str) -> String {
        pem.replace('+', "%2B").replace('\n', "%0A").replace(' ', "%20")
    }

    fn tried(url: &str) -> Result<String, String> {
        let conninfo = Conninfo::parse(url).unwrap();
        let options = conninfo.connect_options(&conninfo.hosts()[0]);
        options.map(|options| format!("{options:?}")).map_err(|error| error.to_string())
    }

    #[test]
    fn certificate_and_key_may_be_pem_or_a_file() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let file = std::env::temp_dir().join(format!("conninfo-{}.pem", std::process::id()));
        std::fs::write(&file, &certificate).unwrap();
        let (certificate, key) = (encoded(&certificate), encoded(&key.serialize_pem()));

        for root in [file.to_str().unwrap(), &certificate] {
            let url = format!("postgres://u@h/d?sslmode=require&sslrootcert={root}&sslcert={root}&sslkey={key}");
            let shown = tried(&url).unwrap();
            assert!(shown.contains("ssl_mode: VerifyFull") && !shown.contains("File("), "{shown}");
            assert_eq!(shown.matches("Some(Inline(").count(), 3, "{shown}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn unusable_certificate_or_key_is_an_error_without_its_content() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let (certificate, key, other) =
            (encoded(&certificate), encoded(&key.serialize_pem()), encoded(&other.serialize_pem()));
        let begin = "-----BEGIN%20PRIVATE%20KEY-----%0A";
        for (parameters, expected) in [
            ("sslrootcert=/segredo.pem".to_owned(), "the file that sslrootcert names cannot be read: No such file"),
            ("sslrootcert=/".to_owned(), "the file that sslrootcert names cannot be read: Is a directory"),
            ("sslrootcert=/dev/zero".to_owned(), "sslrootcert is larger than 4 MiB"),
            ("sslrootcert=/dev/null".to_owned(), "sslrootcert holds no certificate in PEM"),
            (format!("sslrootcert={key}"), "sslrootcert holds no certificate in PEM"),
            ("sslrootcert=-----BEGIN%20segredo".to_owned(), "sslrootcert is not valid PEM"),
            (format!("sslcert={certificate}&sslkey=/segredo"), "the file that sslkey names cannot be read: No such"),
            (format!("sslcert={certificate}&sslkey={certificate}"), "sslkey holds no private key in PEM"),
            (format!("sslcert={certificate}&sslkey={begin}segredo!"), "sslkey is not valid PEM"),
            (format!("sslcert={certificate}&sslkey=-----BEGIN%20ENCRYPTED%20PRIVATE"), "sslkey is encrypted with a"),
            (format!("sslcert={certificate}&sslkey={other}"), "sslcert with sslkey cannot be used: "),
        ] {
            let refused = tried(&format!("postgres://u@h/d?{parameters}")).unwrap_err();
            assert!(refused.starts_with(expected) && !refused.contains("segredo"), "{parameters}: {refused}");
        }
    }

    #[test]
    fn host_without_a_server_name_is_an_error_only_with_tls() {
        for host in ["[fe80::1%25eth0]", "-h", &"a".repeat(64)] {
            assert!(tried(&format!("postgres://u@{host}/d?sslmode=disable")).is_ok(), "{host}");
            let refused = tried(&format!("postgres://u@{host}/d")).unwrap_err();
            assert!(refused.starts_with("the host is no name or address"), "{refused}");
        }
        for host in ["my_db.internal.", "10.0.0.1", "[::1]", "DB"] {
            assert!(tried(&format!("postgres://u@{host}/d")).is_ok(), "{host}");
        }
    }
}
