//! Base addresses from settings. They are validated first, because credentials are sent to them.

use std::fmt;

use reqwest::Url;

/// Why a text is not a valid base address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL with a host.
    #[error("not an absolute URL")]
    NotAUrl,
    /// Not https, so tokens would be sent unencrypted.
    #[error("must be https (http on loopback only)")]
    NotHttps,
    /// Has a user name, password, query or fragment.
    #[error("must have no user name, password, query or fragment")]
    Superfluous,
    /// An address of Azure DevOps Services that does not name exactly one organisation.
    #[error("must name the organisation and no more: https://dev.azure.com/{{organisation}}")]
    NotAnOrganisation,
}

/// The base address of a service: https (or http on loopback), no user name, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// Parses a base address. A trailing slash is removed.
    ///
    /// # Errors
    /// [`UrlError`], except `NotAnOrganisation`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let mut url = Url::parse(text.trim()).map_err(|_| UrlError::NotAUrl)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(UrlError::NotHttps);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Superfluous);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Returns the address without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether the host is this machine, for which no proxy is used.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Returns the address of `path` below the base. `path` starts with a slash.
    pub(crate) fn at(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// Returns the address of a path below the base that has exactly these segments. `None` if one of them cannot be
    /// a segment, so that no name leads to another resource.
    pub(crate) fn at_segments(&self, segments: &[&str]) -> Option<Url> {
        if segments.iter().any(|segment| ["", ".", ".."].contains(segment)) {
            return None;
        }
        let mut url = self.0.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(url)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The base address of an organisation (or, on Azure DevOps Server, of a collection).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgUrl(ServiceUrl);

impl OrgUrl {
    /// Parses the address of an organisation.
    ///
    /// `https://{org}.visualstudio.com` is converted to `https://dev.azure.com/{org}`, which is the same organisation.
    /// Any other https host is accepted unchanged: Azure DevOps Server, sovereign clouds.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let service = ServiceUrl::parse(text)?;
        let segments: Vec<_> = service.0.path().split('/').filter(|s| !s.is_empty()).collect();
        let host = service.0.host_str().unwrap_or_default();
        if host == "dev.azure.com" {
            return if segments.len() == 1 { Ok(Self(service)) } else { Err(UrlError::NotAnOrganisation) };
        }
        let Some(org) = host.strip_suffix(".visualstudio.com") else { return Ok(Self(service)) };
        let is_only_the_org = matches!(segments.as_slice(), [] | ["DefaultCollection"]);
        if org.contains('.') || !is_only_the_org {
            return Err(UrlError::NotAnOrganisation);
        }
        ServiceUrl::parse(&format!("https://dev.azure.com/{org}")).map(Self)
    }

    /// Returns the address without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the name of the organisation or the collection: the last segment of the path, decoded; the host if the path is
    /// empty.
    #[must_use]
    pub fn name(&self) -> String {
        let segment = self.0.0.path().rsplit('/').find(|segment| !segment.is_empty());
        let host = || self.0.0.host_str().unwrap_or_default();
        let name = percent_encoding::percent_decode_str(segment.unwrap_or_else(host));
        name.decode_utf8_lossy().into_owned()
    }

    /// Returns the base address of the member entitlements API.
    ///
    /// Azure DevOps Services has a separate host for it; Azure DevOps Server lacks it. On loopback it is the
    /// address itself, for stand-ins in tests.
    #[must_use]
    pub fn members(&self) -> Option<ServiceUrl> {
        let mut url = self.0.0.clone();
        match url.host_str() {
            Some("dev.azure.com") => url.set_host(Some("vsaex.dev.azure.com")).ok()?,
            _ if self.0.is_loopback() => {}
            _ => return None,
        }
        Some(ServiceUrl(url))
    }

    pub(crate) fn service(&self) -> &ServiceUrl {
        &self.0
    }
}

impl fmt::Display for OrgUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn org_url_in_any_notation_is_normalised() {
        let cases = [
            ("https://dev.azure.com/contoso", "https://dev.azure.com/contoso"),
            (" https://dev.azure.com/contoso/ ", "https://dev.azure.com/contoso"),
            ("https://Contoso.VisualStudio.com", "https://dev.azure.com/contoso"),
            ("https://contoso.visualstudio.com/DefaultCollection/", "https://dev.azure.com/contoso"),
            ("https://tfs.exemplo.br/tfs/Colecao/", "https://tfs.exemplo.br/tfs/Colecao"),
            ("https://tfs.exemplo.br", "https://tfs.exemplo.br"),
            ("http://127.0.0.1:8080/contoso", "http://127.0.0.1:8080/contoso"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://localhost:8080/", "http://localhost:8080"),
        ];
        for (text, expected) in cases {
            assert_eq!(OrgUrl::parse(text).unwrap().as_str(), expected, "{text}");
        }
    }

    #[test]
    fn org_url_that_must_not_receive_tokens_is_rejected() {
        let cases = [
            ("", UrlError::NotAUrl),
            ("contoso", UrlError::NotAUrl),
            ("https://", UrlError::NotAUrl),
            ("http://dev.azure.com/contoso", UrlError::NotHttps),
            ("http://127.0.0.1.exemplo.br", UrlError::NotHttps),
            ("ftp://localhost/", UrlError::NotHttps),
            ("https://maria@dev.azure.com/contoso", UrlError::Superfluous),
            ("https://maria:senha@dev.azure.com/contoso", UrlError::Superfluous),
            ("https://dev.azure.com/contoso?a=1", UrlError::Superfluous),
            ("https://dev.azure.com/contoso#a", UrlError::Superfluous),
            ("https://dev.azure.com", UrlError::NotAnOrganisation),
            ("https://dev.azure.com/contoso/Portal", UrlError::NotAnOrganisation),
            ("https://contoso.visualstudio.com/Portal", UrlError::NotAnOrganisation),
            ("https://app.vssps.visualstudio.com", UrlError::NotAnOrganisation),
        ];
        for (text, expected) in cases {
            assert_eq!(OrgUrl::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn segments_below_a_base_are_encoded_and_never_leave_it() {
        let org = OrgUrl::parse("https://tfs.exemplo.br/tfs/Colecao/").unwrap();
        let path = |name: &str| org.service().at_segments(&[name, "_apis"]).map(|url| url.as_str().to_owned());

        let cases = [
            ("Portal do Cliente", "Portal%20do%20Cliente"),
            ("Ação", "A%C3%A7%C3%A3o"),
            ("a/b", "a%2Fb"),
            ("../x", "..%2Fx"),
            ("%2e%2e", "%252e%252e"),
            ("a?b#c", "a%3Fb%23c"),
            ("...", "..."),
        ];
        for (name, encoded) in cases {
            assert_eq!(path(name), Some(format!("https://tfs.exemplo.br/tfs/Colecao/{encoded}/_apis")), "{name}");
        }
        for name in ["", ".", ".."] {
            assert_eq!(path(name), None, "{name:?}");
        }
    }

    #[test]
    fn organisation_is_named_by_the_last_segment() {
        let cases = [
            ("https://dev.azure.com/Exemplo/", "Exemplo"),
            ("https://exemplo.visualstudio.com", "exemplo"),
            ("https://tfs.exemplo.br/tfs/Cole%C3%A7%C3%A3o", "Coleção"),
            ("https://tfs.exemplo.br", "tfs.exemplo.br"),
        ];
        for (url, name) in cases {
            assert_eq!(OrgUrl::parse(url).unwrap().name(), name);
        }
    }

    #[test]
    fn members_url_exists_for_services_only() {
        let cases = [
            ("https://dev.azure.com/contoso", Some("https://vsaex.dev.azure.com/contoso")),
            ("https://contoso.visualstudio.com", Some("https://vsaex.dev.azure.com/contoso")),
            ("http://127.0.0.1:8080/contoso", Some("http://127.0.0.1:8080/contoso")),
            ("https://tfs.exemplo.br/tfs/Colecao", None),
            ("https://vsaex.dev.azure.com.exemplo.br/contoso", None),
        ];
        for (text, expected) in cases {
            let members = OrgUrl::parse(text).unwrap().members();
            assert_eq!(members.as_ref().map(ServiceUrl::as_str), expected, "{text}");
        }
    }

    #[test]
    fn url_below_a_base_keeps_the_path_of_the_base() {
        let org = OrgUrl::parse("https://tfs.exemplo.br/tfs/Colecao/").unwrap();

        let url = org.service().at("/_apis/projects", &[("$top", "2"), ("continuationToken", "a&b")]);

        assert_eq!(url.as_str(), "https://tfs.exemplo.br/tfs/Colecao/_apis/projects?%24top=2&continuationToken=a%26b");
    }
}
