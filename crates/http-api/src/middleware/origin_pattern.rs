//! Patterns of browser origins. They are compared with the parsed host, never as substrings.

use std::fmt;
use std::str::FromStr;

/// An origin, or all origins that differ in the first host label: `https://app.example.org`, `https://*.dev.azure.com:8443`.
///
/// `*` stands for exactly one label: `https://*.dev.azure.com` is neither `https://dev.azure.com` nor
/// `https://a.b.dev.azure.com`. At least two labels must follow it, so that no pattern takes in a whole top-level domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exactly(String),
    /// Any one label, then this parent.
    Under(String),
}

impl OriginPattern {
    /// The syntax of a pattern, for messages to operators.
    pub const ALLOWED: &str =
        "scheme://host[:port] with http or https and no path; the first of three or more host labels may be *";

    /// Returns whether the scheme is `http`, so that the network can modify pages of this origin.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// Returns whether the value of an `Origin` header matches.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        let Some(origin) = Origin::split(origin).filter(|origin| is_host(origin.host)) else { return false };
        let host_matches = match &self.host {
            HostPattern::Exactly(host) => host.eq_ignore_ascii_case(origin.host),
            HostPattern::Under(parent) => {
                origin.host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
            }
        };
        host_matches && (self.scheme, self.port) == (origin.scheme, origin.port)
    }
}

/// The pattern in its normal form: lower case, without the default port.
impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default_port) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        match &self.host {
            HostPattern::Exactly(host) => write!(f, "{scheme}://{host}")?,
            HostPattern::Under(parent) => write!(f, "{scheme}://*.{parent}")?,
        }
        if self.port == default_port { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl FromStr for OriginPattern {
    type Err = NotAnOriginPattern;

    fn from_str(text: &str) -> Result<Self, NotAnOriginPattern> {
        let Origin { scheme, host, port } = Origin::split(text).ok_or(NotAnOriginPattern)?;
        let host = match host.strip_prefix("*.") {
            Some(parent) if is_host_name(parent) && parent.contains('.') && !is_ipv4(parent) => {
                HostPattern::Under(parent.to_ascii_lowercase())
            }
            None if is_host(host) => HostPattern::Exactly(host.to_ascii_lowercase()),
            _ => return Err(NotAnOriginPattern),
        };
        Ok(Self { scheme, host, port })
    }
}

/// The error of a text that is not an [`OriginPattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {}", OriginPattern::ALLOWED)]
pub struct NotAnOriginPattern;

/// The schemes of browser origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// The parts of `scheme://host[:port]`. The host is not validated.
struct Origin<'a> {
    scheme: Scheme,
    host: &'a str,
    port: u16,
}

impl<'a> Origin<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (scheme, default_port) = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, 443),
            _ if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, 80),
            _ => return None,
        };
        // The colons of an IPv6 address stand before its bracket.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
            _ => (authority, default_port),
        };
        Some(Self { scheme, host, port })
    }
}

/// Parses a port as browsers write it: digits without sign or leading zero.
fn parse_port(text: &str) -> Option<u16> {
    text.starts_with(|c: char| matches!(c, '1'..='9')).then(|| text.parse().ok()).flatten()
}

/// Returns whether `host` is a host name in ASCII, an IPv4 address, or an IPv6 address as browsers write it.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string().eq_ignore_ascii_case(ip)),
        None => is_host_name(host),
    }
}

/// Returns whether `host` is a host name in ASCII or an IPv4 address.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    // The limits of DNS (RFC 1035). `_` is not allowed in host names, but it occurs.
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Returns whether a browser parses the name as an IPv4 address, which has no subdomains.
fn is_ipv4(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn display_is_the_normal_form_and_parses_back() {
        for (text, shown) in [
            ("HTTPS://App.Example.Org:443", "https://app.example.org"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://*.Dev.Azure.com:8443", "https://*.dev.azure.com:8443"),
        ] {
            assert_eq!(pattern(text).to_string(), shown);
            assert_eq!(pattern(shown), pattern(text));
        }
    }

    #[test]
    fn pattern_matches_equivalent_origins() {
        let cases = [
            ("https://app.example.org", "https://app.example.org"),
            ("https://app.example.org", "https://APP.Example.ORG"),
            ("HTTPS://App.Example.Org", "https://app.example.org"),
            ("https://app.example.org", "https://app.example.org:443"),
            ("https://app.example.org:443", "https://app.example.org"),
            ("http://app.example.org", "http://app.example.org:80"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]:80"),
            ("https://*.dev.azure.com", "https://x.dev.azure.com"),
            ("https://*.dev.azure.com", "https://X.DEV.azure.COM"),
            ("https://*.dev.azure.com", "https://xn--mnchen-3ya.dev.azure.com"),
            ("https://*.Dev.Azure.com:8443", "https://x.dev.azure.com:8443"),
        ];
        for (text, origin) in cases {
            assert!(pattern(text).matches(origin), "{text} means {origin}");
        }
    }

    #[test]
    fn pattern_rejects_every_other_origin() {
        let wildcard = pattern("https://*.dev.azure.com");
        let attacks = [
            "https://evil.com/.dev.azure.com",
            "https://evil.com#.dev.azure.com",
            "https://evil.com?.dev.azure.com",
            "https://evil.com\\.dev.azure.com",
            "https://evil.com:443.dev.azure.com",
            "https://dev.azure.com.evil.com",
            "https://x.dev.azure.com.evil.com",
            "https://evildev.azure.com",
            "https://x.evildev.azure.com",
            "https://x-dev.azure.com",
            "https://x.dev.azure.com.",
            "https://x.dev.azure.com/",
            "https://x.dev.azure.com/path",
            "https://x.dev.azure.com@evil.com",
            "https://user@x.dev.azure.com",
            "https://user:pw@x.dev.azure.com",
            "https://evil.com:pw@x.dev.azure.com",
            "https://a.b.dev.azure.com",
            "https://dev.azure.com",
            "https://.dev.azure.com",
            "https://*.dev.azure.com",
            "https://..dev.azure.com",
            "https://%2a.dev.azure.com",
            "https://x%00.dev.azure.com",
            "https://x\0.dev.azure.com",
            "https://x\t.dev.azure.com",
            "https://x y.dev.azure.com",
            "https://é.dev.azure.com",
            "https://x。dev.azure.com",
            "https://x.dev.azure.com\n",
            " https://x.dev.azure.com",
            "https://x.dev.azure.com https://evil.com",
            "https://x.dev.azure.com,https://evil.com",
            "https://[x.dev.azure.com]",
            "https://[::1].dev.azure.com",
            "http://x.dev.azure.com",
            "http://x.dev.azure.com:443",
            "https://x.dev.azure.com:80",
            "https://x.dev.azure.com:8443",
            "https://x.dev.azure.com:",
            "https://x.dev.azure.com:0443",
            "https://x.dev.azure.com:+443",
            "https://x.dev.azure.com:65979",
            "https:x.dev.azure.com",
            "https:///x.dev.azure.com",
            "https://https://x.dev.azure.com",
            "ws://x.dev.azure.com",
            "file://",
            "x.dev.azure.com",
            "null",
            "*",
            "",
        ];
        for origin in attacks {
            assert!(!wildcard.matches(origin), "{origin:?}");
        }
        let long_label = format!("https://{}.dev.azure.com", "a".repeat(64));
        assert!(!wildcard.matches(&long_label));
        assert!(!pattern("https://app.example.org").matches("https://x.app.example.org"));
        assert!(!pattern("http://localhost:3000").matches("http://localhost:3001"));
        assert!(!pattern("http://127.0.0.1").matches("http://127x0.0.1"));
    }

    #[test]
    fn parse_rejects_invalid_patterns() {
        let long_name = format!("https://{}org", "a.".repeat(126));
        let cases = [
            "*",
            "null",
            "",
            "app.example.org",
            "//app.example.org",
            "https://",
            "https://*",
            "https://*:443",
            "https://*.",
            "https://*.com",
            "https://*.com.",
            "https://*.*.com",
            "https://a.*.example.org",
            "https://a*.example.org",
            "https://*a.example.org",
            "https://**.example.org",
            "*://app.example.org",
            "https://app.example.org:*",
            "https://*.0.0.1",
            "https://*.[::1]",
            "https://app.example.org/",
            "https://app.example.org/api",
            "https://app.example.org?",
            "https://app.example.org#",
            "https://user@app.example.org",
            "https://app.example.org.",
            "https://app..example.org",
            "https://app.example.org:0",
            "https://app.example.org:65536",
            "https://app.example.org:https",
            "https://app .example.org",
            "https://münchen.example.org",
            "https://[::1",
            "https://::1",
            "https://[0:0::1]",
            "ftp://app.example.org",
            long_name.as_str(),
        ];
        for text in cases {
            assert_eq!(text.parse::<OriginPattern>(), Err(NotAnOriginPattern), "{text:?}");
        }
    }
}
