//! The client address of a request behind proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The proxies whose `X-Forwarded-For` is honoured (`TRUSTED_PROXIES`).
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Returns the proxies in these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Returns the client address of a request from `peer`: the last address of `X-Forwarded-For` that is not a trusted
    /// proxy. Clients can forge the addresses before it. The header is ignored if `peer` is not a trusted proxy.
    #[must_use]
    pub fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.ip().to_canonical();
        if !self.trusts(client) {
            return Some(client);
        }
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            let Some(hop) = std::str::from_utf8(hop).ok().and_then(parse_hop) else { break };
            client = hop.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        Some(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Parses an address in the forms that proxies write: with a port, in brackets, in quotes, or as the `for` parameter of
/// RFC 7239.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let mut parameters = hop.split(';').map(str::trim);
    let hop = parameters.find_map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("for") => Some(value.trim()),
        Some(_) => None,
        None => Some(parameter),
    })?;
    let hop = hop.strip_prefix('"').and_then(|hop| hop.strip_suffix('"')).unwrap_or(hop);
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip())).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn client(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(proxies.iter().map(|network| network.parse().unwrap()).collect());
        let request =
            forwarded.iter().fold(TestRequest::default(), |r, line| r.append_header((X_FORWARDED_FOR, *line)));
        let request = request.to_http_request();
        proxies.client(Some(SocketAddr::new(peer.parse().unwrap(), 1)), request.headers()).unwrap().to_string()
    }

    #[test]
    fn header_from_an_untrusted_peer_is_ignored() {
        assert_eq!(client(&[], "127.0.0.1", &["203.0.113.9"]), "127.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.1", &["203.0.113.9"]), "203.0.113.1");
    }

    #[test]
    fn client_is_the_last_address_that_is_not_a_trusted_proxy() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(client(&proxies, "10.0.0.2", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&proxies, "::ffff:10.0.0.2", &["198.51.100.7, 203.0.113.9 , 10.1.1.1"]), "203.0.113.9");
        assert_eq!(client(&proxies, "fd00::1", &["198.51.100.7", "2001:db8::9"]), "2001:db8::9");
    }

    #[test]
    fn client_address_is_parsed_in_each_form_that_proxies_write() {
        let cases = [
            ("203.0.113.9:51008", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:443", "2001:db8::9"),
            ("\"[2001:db8::9]:443\"", "2001:db8::9"),
            ("\"203.0.113.9\"", "203.0.113.9"),
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"[2001:db8::9]\"", "2001:db8::9"),
            ("for=\"[2001:db8::9]:4711\"", "2001:db8::9"),
            ("proto=https;for=203.0.113.9;by=203.0.113.43", "203.0.113.9"),
            ("198.51.100.7:1, [::ffff:203.0.113.9]:2, 10.0.0.3:3", "203.0.113.9"),
        ];
        for (forwarded, expected) in cases {
            assert_eq!(client(&["10.0.0.0/8"], "10.0.0.2", &[forwarded]), expected, "{forwarded}");
        }
    }

    #[test]
    fn malformed_address_ends_the_search() {
        let proxies = ["10.0.0.0/8"];
        let malformed = [
            "",
            "lixo",
            "203.0.113.9, <script>",
            "203.0.113.9:80,",
            "203.0.113.9:99999",
            "for=unknown",
            "by=203.0.113.9",
        ];
        for forwarded in malformed {
            assert_eq!(client(&proxies, "10.0.0.2", &[forwarded]), "10.0.0.2", "{forwarded:?}");
        }
        assert_eq!(client(&proxies, "10.0.0.2", &[]), "10.0.0.2");
        assert_eq!(client(&proxies, "10.0.0.2", &["10.0.0.3"]), "10.0.0.3");
    }
}
