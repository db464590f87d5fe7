//! The files that the pages load, embedded and served under a path that changes with their content.

use actix_web::body::SizedStream;
use actix_web::dev::Decompress;
use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, ContentEncoding, Encoding, Header, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::{Stream, TryStreamExt, stream};

use crate::respond::document::{self, Document, document};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// How many compressed bytes are inflated at a time.
const PIECE: usize = 8 * 1024;

/// For what never changes under its path.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For what every browser asks for under the same path.
const A_DAY: &str = "public, max-age=86400";

/// A file that a page may load.
pub struct Asset {
    pub name: &'static str,
    kind: &'static str,
    pub content: Content,
}

/// A file's bytes, as the binary holds them.
#[derive(Clone, Copy)]
pub enum Content {
    /// Too small to compress.
    Plain(&'static [u8]),
    /// Compressed when the binary is built.
    Document(Document),
    /// Compressed when it was vendored.
    Gzip(&'static [u8]),
}

impl Asset {
    const fn plain(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Self {
        Self { name, kind, content: Content::Plain(bytes) }
    }

    const fn gzip(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Self {
        Self { name, kind, content: Content::Gzip(bytes) }
    }

    fn respond(&self, request: &HttpRequest, cache: &'static str) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response
            .content_type(self.kind)
            .insert_header((CACHE_CONTROL, HeaderValue::from_static(cache)))
            .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        let bytes = match self.content {
            Content::Plain(bytes) => return response.body(bytes),
            Content::Document(document) => {
                let mut response = document.respond(request, self.kind, cache);
                response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                return response;
            }
            Content::Gzip(bytes) => bytes,
        };
        response.insert_header((VARY, HeaderValue::from_static("Accept-Encoding")));
        if takes_gzip(request) {
            // With this header set, a compressing middleware leaves the body alone.
            return response.insert_header(ContentEncoding::Gzip).body(bytes);
        }
        response.body(SizedStream::new(inflated_size(bytes), inflate(bytes)))
    }
}

const PORTUGUES: Document = document!("web/portugues.js", "portugues.js");

const FAVICON: Asset = Asset::plain("favicon.svg", SVG, include_bytes!("web/favicon.svg"));

/// What `assets/update.sh` wrote of the vendored files, before it compressed them.
pub const MANIFEST: &str = include_str!("../../assets/SHA256SUMS");

/// All there is, with the licences that the vendored files ask to be given along.
pub const ASSETS: &[Asset] = &[
    FAVICON,
    Asset::plain("pages.css", STYLE, include_bytes!("web/pages.css")),
    Asset { name: "portugues.js", kind: SCRIPT, content: Content::Document(PORTUGUES) },
    Asset::plain("swagger-ui.js", SCRIPT, include_bytes!("web/swagger-ui.js")),
    Asset::plain("redoc.js", SCRIPT, include_bytes!("web/redoc.js")),
    Asset::gzip("swagger-ui.css", STYLE, include_bytes!("../../assets/swagger-ui/swagger-ui.css.gz")),
    Asset::gzip("swagger-ui-bundle.js", SCRIPT, include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js.gz")),
    Asset::plain(
        "swagger-ui-bundle.js.LICENSE.txt",
        TEXT,
        include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js.LICENSE.txt"),
    ),
    Asset::plain("swagger-ui.LICENSE.txt", TEXT, include_bytes!("../../assets/swagger-ui/LICENSE")),
    Asset::plain("swagger-ui.NOTICE.txt", TEXT, include_bytes!("../../assets/swagger-ui/NOTICE")),
    Asset::gzip("redoc.standalone.js", SCRIPT, include_bytes!("../../assets/redoc/redoc.standalone.js.gz")),
    Asset::plain(
        "redoc.standalone.js.LICENSE.txt",
        TEXT,
        include_bytes!("../../assets/redoc/redoc.standalone.js.LICENSE.txt"),
    ),
    Asset::plain("redoc.LICENSE.txt", TEXT, include_bytes!("../../assets/redoc/LICENSE")),
];

/// The segment of the path that stands for the content of all files, so that browsers may keep them forever.
pub fn release() -> String {
    const RELEASE: u64 = fingerprint(MANIFEST.as_bytes(), ASSETS);
    format!("{RELEASE:016x}")
}

/// Over the small files and the checksums of the large ones.
const fn fingerprint(manifest: &[u8], mut assets: &[Asset]) -> u64 {
    let mut hash = document::fingerprint(document::SEED, manifest);
    while let [asset, rest @ ..] = assets {
        match asset.content {
            Content::Plain(bytes) | Content::Document(Document { plain: bytes, .. }) => {
                hash = document::fingerprint(hash, bytes);
            }
            Content::Gzip(_) => {}
        }
        assets = rest;
    }
    hash
}

/// One of the files, unless it is asked for under the path of another release.
pub async fn serve(request: HttpRequest) -> HttpResponse {
    let path = request.match_info();
    match ASSETS.iter().find(|asset| asset.name == path.query("file")) {
        Some(asset) if path.query("release") == release() => asset.respond(&request, FOREVER),
        // A replica of another release would otherwise fill caches with its files under this one's path.
        _ => HttpResponse::NotFound().finish(),
    }
}

/// The icon of the service, for browsers that look for it in the usual places.
pub async fn favicon(request: HttpRequest) -> HttpResponse {
    FAVICON.respond(&request, A_DAY)
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(request).is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

/// The bytes that were compressed, a few at a time.
pub fn inflate(compressed: &'static [u8]) -> impl Stream<Item = Result<Bytes, Error>> {
    let pieces = compressed.chunks(PIECE).map(|piece| Ok(Bytes::from_static(piece)));
    Decompress::new(stream::iter(pieces), ContentEncoding::Gzip).map_err(Error::from)
}

/// How many bytes were compressed: the last four of gzip say so (RFC 1952 §2.3.1).
fn inflated_size(compressed: &[u8]) -> u64 {
    compressed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size).into())
}
