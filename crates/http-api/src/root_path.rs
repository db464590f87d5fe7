//! The path prefix under which a proxy publishes the service, as `root_path` of FastAPI.

use std::fmt;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Data;

/// A prefix like `/aponta`, or nothing. Addresses in responses start with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootPath(String);

/// The text is no path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {}", RootPath::ALLOWED)]
pub struct NotARootPath;

impl RootPath {
    /// The allowed form, for messages.
    pub const ALLOWED: &'static str = "a path like /aponta, of letters, digits and -._~ between slashes";

    /// Returns the prefix of the service that handles `request`.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request.app_data::<Data<Self>>().map(|root| Self::clone(root)).unwrap_or_default()
    }

    /// Returns whether there is no prefix.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `path` without the prefix, if it has one. A proxy may leave the prefix in the path or remove it.
    pub(crate) fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.0).filter(|_| !self.is_empty())?;
        match rest.as_bytes() {
            [] => Some("/"),
            [b'/', ..] => Some(rest),
            _ => None,
        }
    }
}

impl FromStr for RootPath {
    type Err = NotARootPath;

    fn from_str(text: &str) -> Result<Self, NotARootPath> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        let mut segments = path.split('/');
        let is_prefix = segments.next() == Some("") && segments.all(is_segment);
        if is_prefix { Ok(Self(path.to_owned())) } else { Err(NotARootPath) }
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_path_is_parsed_without_its_last_slash() {
        for (text, expected) in [("", ""), ("/", ""), ("/aponta", "/aponta"), ("/a/b-1._~/", "/a/b-1._~")] {
            assert_eq!(text.parse::<RootPath>().unwrap().to_string(), expected);
        }
        for text in
            ["aponta", "//", "/a//b", "/a b", "/a?b", "/%61", "/é", "/..", "/a/.", "https://a/b", "/\"", "/a\r\n"]
        {
            assert_eq!(text.parse::<RootPath>(), Err(NotARootPath), "{text:?}");
        }
    }

    #[test]
    fn only_whole_segments_are_stripped() {
        let root: RootPath = "/aponta".parse().unwrap();
        for (path, expected) in [
            ("/aponta/api/v1", Some("/api/v1")),
            ("/aponta", Some("/")),
            ("/aponta/", Some("/")),
            ("/aponta2/api", None),
            ("/api/v1", None),
            ("/api/aponta/", None),
        ] {
            assert_eq!(root.strip(path), expected, "{path}");
        }
        assert_eq!(RootPath::default().strip("/api"), None);
    }
}
