//! Where the database is: one URL, or the parts that make one.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use http_api::is_host_name;
use secrecy::{ExposeSecret as _, SecretString};

use super::config_error::ConfigError;
use super::reader::Reader;

/// The allowed form of a host.
const HOST: &str = "a host name, an IP address or a socket directory, or several separated by commas; port, user and \
                    password have settings of their own";

/// The allowed form of a port.
const PORT: &str = "a whole number from 1 to 65535, or one for each host, separated by commas";

/// The settings of the database, before the adapter parses the URL.
#[derive(Debug)]
pub struct DatabaseSettings {
    url: Option<SecretString>,
    missing: Vec<&'static str>,
    /// The settings that `url` comes from.
    pub url_settings: &'static str,
    /// `DATABASE_DIRECT_URL`, parsed by the adapter.
    pub direct_url: Option<SecretString>,
    /// `DATABASE_REPLICA_URLS`, split at commas and parsed by the adapter.
    pub replica_urls: Vec<SecretString>,
    /// `DATABASE_SCHEMA`, parsed by the adapter.
    pub schema: String,
    /// `DATABASE_POOL_SIZE`: connections at most.
    pub pool_size: u32,
}

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let given = reader.secret("DATABASE_URL");
        let host = reader.name("DATABASE_HOST").and_then(|_| reader.parse("DATABASE_HOST", HOST, parse_hosts));
        let ports = reader.parse("DATABASE_PORT", PORT, parse_ports)?;
        let name = reader.name("DATABASE_NAME");
        let user = reader.name("DATABASE_USER");
        let password = reader.secret("DATABASE_PASSWORD");
        let direct_url = reader.secret("DATABASE_DIRECT_URL");
        let replica_urls = reader.secret("DATABASE_REPLICA_URLS").as_ref().map(split).unwrap_or_default();
        let required =
            [("DATABASE_HOST", host.is_none()), ("DATABASE_NAME", name.is_none()), ("DATABASE_USER", user.is_none())];
        let missing = required.into_iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| name).collect();
        if let Some(hosts) = host.as_ref().filter(|hosts| ![1, hosts.len()].contains(&ports.len())) {
            let problem = format!("has {} ports for the {} hosts of DATABASE_HOST", ports.len(), hosts.len());
            reader.push_error(ConfigError::new("DATABASE_PORT", problem));
        }
        let url_settings = if given.is_some() {
            "DATABASE_URL"
        } else {
            "DATABASE_HOST, DATABASE_NAME, DATABASE_USER or DATABASE_PASSWORD"
        };
        let composed = || Some(compose(&host?, &ports, &name?, &user?, password.as_ref()));
        Some(Self {
            // As in pydantic settings of old, where the URL was a field and the parts its fallback.
            url: given.or_else(|| composed().map(SecretString::from)),
            url_settings,
            direct_url,
            replica_urls,
            missing,
            schema: reader.name("DATABASE_SCHEMA")?,
            pool_size: reader.number("DATABASE_POOL_SIZE", 1..=1000)?,
        })
    }

    /// `postgresql://…` for a command that needs the database.
    ///
    /// # Errors
    /// The settings that are missing.
    pub fn url(&self) -> Result<&SecretString, Vec<ConfigError>> {
        self.url.as_ref().ok_or_else(|| match self.missing.as_slice() {
            missing @ ([_] | [_, _]) => {
                missing.iter().map(|name| ConfigError::new(*name, "is missing beside the other parts")).collect()
            }
            _ => vec![ConfigError::new(
                "DATABASE_URL",
                "is missing; set it, or DATABASE_HOST, DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD",
            )],
        })
    }
}

/// The parts of a list of secrets. A comma in a URL is written `%2C`.
fn split(list: &SecretString) -> Vec<SecretString> {
    list.expose_secret().split(',').map(|part| part.trim().to_owned().into()).collect()
}

fn parse_hosts(text: &str) -> Option<Vec<String>> {
    text.split(',').map(parse_host).collect()
}

fn parse_ports(text: &str) -> Option<Vec<u16>> {
    text.split(',').map(|port| port.trim().parse().ok().filter(|port| *port != 0)).collect()
}

/// The host as it stands in a URL.
fn parse_host(text: &str) -> Option<String> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Some(format!("[{ip}]"));
    }
    // The name may be absolute, with a dot at its end.
    let known = text.starts_with('/') || is_host_name(text.strip_suffix('.').unwrap_or(text));
    known.then(|| encode(text))
}

fn compose(hosts: &[String], ports: &[u16], name: &str, user: &str, password: Option<&SecretString>) -> String {
    let password = password.map(|password| format!(":{}", encode(password.expose_secret()))).unwrap_or_default();
    let hosts: Vec<_> = hosts.iter().zip(ports.iter().cycle()).map(|(host, port)| format!("{host}:{port}")).collect();
    format!("postgresql://{}{password}@{}/{}", encode(user), hosts.join(","), encode(name))
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_a_url_that_reads_back_byte_for_byte() {
        let password = SecretString::from(" 0'\"%/?#@:[é]\\\u{1} ");
        let hosts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let url = compose(&hosts(&["db"]), &[5432], "a/b", "api-user", Some(&password));
        assert_eq!(url, "postgresql://api-user:%200%27%22%25%2F%3F%23%40%3A%5B%C3%A9%5D%5C%01%20@db:5432/a%2Fb");
        assert_eq!(compose(&hosts(&["db"]), &[1], "d", "u", None), "postgresql://u@db:1/d");
        assert_eq!(compose(&hosts(&["a", "b"]), &[1], "d", "u", None), "postgresql://u@a:1,b:1/d");
        assert_eq!(compose(&hosts(&["a", "[::1]"]), &[1, 2], "d", "u", None), "postgresql://u@a:1,[::1]:2/d");
    }

    #[test]
    fn host_is_a_name_an_address_or_a_socket_directory() {
        let cases = [
            ("db", Some("db")),
            ("my_db.internal.", Some("my_db.internal.")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("::1", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("/run/postgresql:1", Some("%2Frun%2Fpostgresql%3A1")),
            ("a,b", None),
            ("db:5432", None),
            ("db/name", None),
            ("user@db", None),
            (" db", None),
            ("postgresql://db", None),
        ];
        for (text, host) in cases {
            assert_eq!(parse_host(text).as_deref(), host, "{text}");
        }
    }
}
