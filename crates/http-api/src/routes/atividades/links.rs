//! Where the other pages of a list are (RFC 8288).

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use super::query::Listagem;

/// The parameters that say what is listed and how, and not which page of it.
const KEPT: [&str; 6] = ["ativo", "formato", "id_projeto", "limit", "ordem", "q"];
/// The longest header, in bytes: proxies have room for so much and not for much more (nginx: 4 KiB for all headers).
const MAX: usize = 3 * 1024;

/// The pages beside the one that `listagem` asks for, as a header; none when that would be too long to be passed on.
pub fn links(request: &HttpRequest, listagem: &Listagem, total: u64, proximo: Option<&str>) -> Option<HeaderValue> {
    let pages = if listagem.por_cursor {
        let first = ("first", "apos", String::new());
        [first].into_iter().chain(proximo.map(|cursor| ("next", "apos", cursor.to_owned()))).collect()
    } else {
        by_skip(listagem, total)
    };
    let kept: Vec<_> = form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| KEPT.contains(&name.as_ref()))
        .collect();
    let links = pages.into_iter().map(|(rel, parameter, value)| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(&kept).append_pair(parameter, &value).finish();
        format!("<{}?{query}>; rel=\"{rel}\"", request.path())
    });
    let header = links.collect::<Vec<_>>().join(", ");
    if MAX < header.len() { None } else { HeaderValue::from_str(&header).ok() }
}

fn by_skip(listagem: &Listagem, total: u64) -> Vec<(&'static str, &'static str, String)> {
    let (skip, limit) = (listagem.query.skip.get(), listagem.query.limit.get());
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    let next = skip.saturating_add(limit);
    let last = (total - 1).max(0) / limit * limit;
    [
        Some(("first", 0)),
        (0 < skip).then(|| ("prev", skip.min(last.saturating_add(limit)).saturating_sub(limit).max(0))),
        (next < total).then_some(("next", next)),
        Some(("last", last)),
    ]
    .into_iter()
    .flatten()
    .map(|(rel, skip)| (rel, "skip", skip.to_string()))
    .collect()
}
