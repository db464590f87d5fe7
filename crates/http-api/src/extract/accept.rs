//! The `Accept` header: which representations the client accepts (RFC 9110 §12.5.1).

use actix_web::HttpMessage;
use actix_web::http::header::ACCEPT;

use crate::media_type::{CSV, JSON, PROBLEM_JSON};

/// The weight of a member that is not a media range. The client accepts something that the server cannot read, so
/// everything is acceptable, after each range that is readable.
const UNREADABLE_WEIGHT: f32 = 0.001;

/// The media ranges of `Accept`, by descending weight.
pub struct AcceptHeader(Vec<MediaRange>);

struct MediaRange {
    /// `type/subtype` in lower case.
    essence: String,
    weight: f32,
}

/// A representation of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formato {
    /// As JSON.
    Json,
    /// As CSV.
    Csv,
}

impl AcceptHeader {
    /// Parses the header of `request`. A missing or empty header accepts everything.
    pub fn from_request(request: &impl HttpMessage) -> Self {
        let lines = request.headers().get_all(ACCEPT).map(|line| String::from_utf8_lossy(line.as_bytes()));
        let mut ranges: Vec<_> =
            lines.flat_map(|line| members(&line).map(MediaRange::parse).collect::<Vec<_>>()).collect();
        if ranges.is_empty() {
            ranges.push(MediaRange::any(1.0));
        }
        ranges.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        Self(ranges)
    }

    /// Returns whether JSON is acceptable. Any `+json` type counts: a client that lists problem details expects JSON.
    pub fn json(&self) -> bool {
        self.accepts(JSON) || self.0.iter().any(|range| range.essence.ends_with("+json") && range.is_acceptable())
    }

    /// Returns whether the client lists problem details by name.
    pub fn names_problem_json(&self) -> bool {
        self.0.iter().any(|range| range.essence == PROBLEM_JSON && range.is_acceptable())
    }

    /// Returns the preferred representation of a list, or `None` if neither is acceptable.
    pub fn preferred(&self) -> Option<Formato> {
        let (json, csv) = (self.json(), self.accepts(CSV));
        let mut formats = self.0.iter().filter_map(|range| match range.essence.as_str() {
            CSV | "text/*" if csv => Some(Formato::Csv),
            JSON | "application/*" | "*/*" if json => Some(Formato::Json),
            _ => None,
        });
        formats.next().or(match (json, csv) {
            (true, _) => Some(Formato::Json),
            (false, true) => Some(Formato::Csv),
            (false, false) => None,
        })
    }

    /// Returns whether the most specific range that matches `media_type` has a weight above 0.
    fn accepts(&self, media_type: &str) -> bool {
        let subtypes = media_type.split_once('/').map_or_else(String::new, |(kind, _)| format!("{kind}/*"));
        let find = |essence: &str| self.0.iter().find(|range| range.essence == essence);
        let range = find(media_type).or_else(|| find(&subtypes)).or_else(|| find("*/*"));
        range.is_some_and(MediaRange::is_acceptable)
    }
}

impl MediaRange {
    fn any(weight: f32) -> Self {
        Self { essence: "*/*".to_owned(), weight }
    }

    /// Parses one member. `*` means `*/*`, as old Java clients write it; an invalid weight is 1.
    fn parse(member: &str) -> Self {
        let mut parts = member.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let weight = weight.and_then(|(_, weight)| weight.trim().parse().ok());
        let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
        match essence.split_once('/') {
            Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Self { essence, weight },
            _ if essence == "*" => Self::any(weight),
            _ => Self::any(weight.min(UNREADABLE_WEIGHT)),
        }
    }

    fn is_acceptable(&self) -> bool {
        0.0 < self.weight
    }
}

/// Splits a list at the commas outside of quoted strings. Empty members do not count (RFC 9110 §5.6.1).
fn members(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let members = line.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    members.map(str::trim).filter(|member| !member.is_empty())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn accept_is_decided_by_the_most_specific_range() {
        use Formato::{Csv, Json};
        let cases = [
            ("", true, Some(Json)),
            ("*/*", true, Some(Json)),
            ("application/*", true, Some(Json)),
            ("text/html, */*;q=0.8", true, Some(Json)),
            ("application/json;api-version=7.1", true, Some(Json)),
            ("application/problem+json", true, Some(Json)),
            ("text/csv", false, Some(Csv)),
            ("TEXT/CSV", false, Some(Csv)),
            ("text/*", false, Some(Csv)),
            ("text/csv;q=0", false, None),
            ("text/csv;q=0, */*", true, Some(Json)),
            ("text/csv;q=0, text/*", false, None),
            ("application/json;q=0, */*", false, Some(Csv)),
            ("application/json;q=0.4, text/csv;q=0.5", true, Some(Csv)),
            ("application/xml", false, None),
            ("application/xml;x=\"a, application/json\"", false, None),
            ("*/*;q=0", false, None),
        ];
        for (accept, json, preferred) in cases {
            assert_eq!(parsed(accept), (json, preferred), "{accept}");
        }
    }

    #[test]
    fn accept_with_a_malformed_member_keeps_the_others() {
        use Formato::{Csv, Json};
        let cases = [
            // The default of the JDK before version 11, and of Rails.
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", true, Some(Json)),
            ("text/html, */*;q=.8", true, Some(Json)),
            ("lixo", true, Some(Json)),
            ("text/html, lixo", true, Some(Json)),
            ("text/csv, lixo", true, Some(Csv)),
            ("lixo, application/json;q=0", false, Some(Csv)),
            ("application/json;q=muito", true, Some(Json)),
            ("application/json;q=2", true, Some(Json)),
            ("text/csv;q=.5, application/json;q=.4,,", true, Some(Csv)),
            (", ,", true, Some(Json)),
            ("/", true, Some(Json)),
        ];
        for (accept, json, preferred) in cases {
            assert_eq!(parsed(accept), (json, preferred), "{accept}");
        }
    }

    fn parsed(accept: &str) -> (bool, Option<Formato>) {
        let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
        let accept = AcceptHeader::from_request(&request);
        (accept.json(), accept.preferred())
    }
}
