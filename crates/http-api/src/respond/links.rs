//! `Link` headers with the other pages of a list (RFC 8288).

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use crate::extract::paging::Paging;
use crate::root_path::RootPath;

/// The maximum length of the header, in bytes. Proxies buffer little more (nginx: 4 KiB for all headers).
const MAX_LENGTH: usize = 3 * 1024;

/// The parameters that select the page or the form of a CSV document, and are not repeated in links.
const PAGE_PARAMETERS: [&str; 4] = ["skip", "apos", "bom", "separador"];

/// Returns the header with the other pages of a list that has `parameters`, or `None` if it would be too long. `next` is
/// the cursor of the next page.
pub fn links(
    request: &HttpRequest,
    parameters: &[String],
    paging: &Paging,
    total: u64,
    next: Option<&str>,
) -> Option<HeaderValue> {
    let pages = if paging.by_cursor {
        let first = ("first", "apos", String::new());
        [first].into_iter().chain(next.map(|cursor| ("next", "apos", cursor.to_owned()))).collect()
    } else {
        pages_by_skip(paging, total)
    };
    let preserved: Vec<_> = form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| parameters.iter().any(|known| known == name))
        .filter(|(name, _)| !PAGE_PARAMETERS.contains(&name.as_ref()))
        .collect();
    // The default page has a limit of its own, so the other pages must repeat it.
    let limit = paging.is_default_page.then(|| ("limit", paging.limit.get().to_string()));
    let root = RootPath::of(request);
    let links = pages.into_iter().map(|(rel, parameter, value)| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(&preserved).extend_pairs(limit.as_ref()).append_pair(parameter, &value).finish();
        format!("<{root}{}?{query}>; rel=\"{rel}\"", request.path())
    });
    let header = links.collect::<Vec<_>>().join(", ");
    if MAX_LENGTH < header.len() { None } else { HeaderValue::from_str(&header).ok() }
}

fn pages_by_skip(paging: &Paging, total: u64) -> Vec<(&'static str, &'static str, String)> {
    let (skip, limit) = (paging.skip.get(), paging.limit.get());
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
