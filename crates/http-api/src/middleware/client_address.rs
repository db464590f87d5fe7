//! Whose request it is, when proxies stand between.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The proxies whose word counts (`TRUSTED_PROXIES`).
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// The proxies in these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// The client of a request that came from `peer`: the last address in `X-Forwarded-For` that is no proxy of ours.
    /// What stands before it anybody may have written. From a peer that is no proxy the header is not read at all.
    #[must_use]
    pub fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.ip().to_canonical();
        if !self.trusts(client) {
            return Some(client);
        }
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            let Some(hop) = std::str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse::<IpAddr>().ok()) else {
                break;
            };
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
    fn nobody_is_believed_by_default() {
        assert_eq!(client(&[], "127.0.0.1", &["203.0.113.9"]), "127.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.1", &["203.0.113.9"]), "203.0.113.1");
    }

    #[test]
    fn the_last_address_that_is_no_proxy_counts() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(client(&proxies, "10.0.0.2", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&proxies, "::ffff:10.0.0.2", &["198.51.100.7, 203.0.113.9 , 10.1.1.1"]), "203.0.113.9");
        assert_eq!(client(&proxies, "fd00::1", &["198.51.100.7", "2001:db8::9"]), "2001:db8::9");
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        let proxies = ["10.0.0.0/8"];
        for forwarded in ["", "lixo", "203.0.113.9, <script>", "203.0.113.9:80,"] {
            assert_eq!(client(&proxies, "10.0.0.2", &[forwarded]), "10.0.0.2", "{forwarded:?}");
        }
        assert_eq!(client(&proxies, "10.0.0.2", &[]), "10.0.0.2");
        assert_eq!(client(&proxies, "10.0.0.2", &["10.0.0.3"]), "10.0.0.3");
    }
}
