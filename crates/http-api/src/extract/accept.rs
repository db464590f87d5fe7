//! Which representations a client takes (RFC 9110 §12.5.1).

use actix_web::HttpMessage;
use actix_web::http::header::{Accept, Header, Quality};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// What `Accept` says; whoever says nothing, or nothing that can be read, takes everything.
pub struct Accepted(Option<Accept>);

/// A representation of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formato {
    /// As JSON.
    Json,
    /// As CSV.
    Csv,
}

impl Accepted {
    /// What the client of `request` takes.
    pub fn by(request: &impl HttpMessage) -> Self {
        Self(Accept::parse(request).ok().filter(|accept| !accept.is_empty()))
    }

    /// Whether it takes JSON. Other kinds of JSON count: who asks for problem details means errors alone.
    pub fn json(&self) -> bool {
        let is_kind = |range: &str| range.ends_with("+json");
        self.takes(JSON) || self.ranges().any(|(range, quality)| is_kind(range) && Quality::ZERO < quality)
    }

    /// What it likes best of the representations of a list, if it takes any.
    pub fn preferred(&self) -> Option<Formato> {
        let (json, csv) = (self.json(), self.takes(CSV));
        let ranked = self.0.iter().flat_map(Accept::ranked);
        let mut formats = ranked.filter_map(|kind| match kind.essence_str() {
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

    /// Whether the range that fits `kind` best allows it.
    fn takes(&self, kind: &str) -> bool {
        let all = kind.split_once('/').map_or_else(String::new, |(of, _)| format!("{of}/*"));
        let quality = |name: &str| self.ranges().find(|(range, _)| *range == name).map(|(_, quality)| quality);
        match quality(kind).or_else(|| quality(&all)).or_else(|| quality("*/*")) {
            Some(quality) => Quality::ZERO < quality,
            None => self.0.is_none(),
        }
    }

    fn ranges(&self) -> impl Iterator<Item = (&str, Quality)> {
        self.0.iter().flat_map(|accept| accept.iter()).map(|range| (range.item.essence_str(), range.quality))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn what_is_taken_is_told_by_the_range_that_fits_best() {
        use Formato::{Csv, Json};
        let cases = [
            ("", true, Some(Json)),
            ("*/*", true, Some(Json)),
            ("application/*", true, Some(Json)),
            ("text/html, */*;q=0.8", true, Some(Json)),
            ("application/json;api-version=7.1", true, Some(Json)),
            ("application/problem+json", true, Some(Json)),
            ("text/csv", false, Some(Csv)),
            ("text/*", false, Some(Csv)),
            ("text/csv;q=0", false, None),
            ("text/csv;q=0, */*", true, Some(Json)),
            ("text/csv;q=0, text/*", false, None),
            ("application/json;q=0, */*", false, Some(Csv)),
            ("application/json;q=0.4, text/csv;q=0.5", true, Some(Csv)),
            ("application/xml", false, None),
            ("*/*;q=0", false, None),
            ("lixo", true, Some(Json)),
        ];
        for (accept, json, preferred) in cases {
            let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            let accepted = Accepted::by(&request);
            assert_eq!((accepted.json(), accepted.preferred()), (json, preferred), "{accept}");
        }
    }
}
