//! Embedded files of the documentation pages. Their path changes with their content, so browsers cache them forever.

use actix_web::body::SizedStream;
use actix_web::dev::Decompress;
use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, ContentEncoding, Encoding, Header, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_util::{Stream, TryStreamExt, stream};

use crate::respond::document;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The number of compressed bytes that are inflated at a time.
const CHUNK_BYTES: usize = 8 * 1024;

/// `Cache-Control` of a path whose content never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// `Cache-Control` of the icon.
const ONE_DAY: &str = "public, max-age=86400";

/// An embedded file.
pub struct Asset {
    pub name: &'static str,
    kind: &'static str,
    pub content: Content,
}

/// The embedded bytes of a file.
#[derive(Clone, Copy)]
pub enum Content {
    /// Not compressed, because it is small.
    Plain(&'static [u8]),
    /// Compressed by `assets/update.sh`.
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
            Content::Gzip(bytes) => bytes,
        };
        response.insert_header((VARY, HeaderValue::from_static("Accept-Encoding")));
        if accepts_gzip(request) {
            // This header keeps the compression middleware from encoding the body again.
            return response.insert_header(ContentEncoding::Gzip).body(bytes);
        }
        response.body(SizedStream::new(inflated_size(bytes), inflate(bytes)))
    }
}

const FAVICON: Asset = Asset::plain("favicon.svg", SVG, include_bytes!("web/favicon.svg"));

/// The checksums of the vendored files before compression, by `assets/update.sh`.
pub const MANIFEST: &str = include_str!("../../assets/SHA256SUMS");

/// All files, with the licences of the vendored ones.
pub const ASSETS: &[Asset] = &[
    FAVICON,
    Asset::plain("pages.css", STYLE, include_bytes!("web/pages.css")),
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

/// Returns the path segment that identifies the content of all files.
pub fn release() -> String {
    const RELEASE: u64 = fingerprint(MANIFEST.as_bytes(), ASSETS);
    format!("{RELEASE:016x}")
}

/// Returns the hash of the small files and of the checksums of the large ones.
const fn fingerprint(manifest: &[u8], mut assets: &[Asset]) -> u64 {
    let mut hash = document::fingerprint(document::SEED, manifest);
    while let [asset, rest @ ..] = assets {
        match asset.content {
            Content::Plain(bytes) => {
                hash = document::fingerprint(hash, bytes);
            }
            Content::Gzip(_) => {}
        }
        assets = rest;
    }
    hash
}

/// Serves a file of this release.
pub async fn serve(request: HttpRequest) -> HttpResponse {
    let path = request.match_info();
    match ASSETS.iter().find(|asset| asset.name == path.query("file")) {
        Some(asset) if path.query("release") == release() => asset.respond(&request, IMMUTABLE),
        // Caches must not store a file of another release under this path.
        _ => HttpResponse::NotFound().finish(),
    }
}

/// Serves the icon at its conventional paths.
pub async fn favicon(request: HttpRequest) -> HttpResponse {
    FAVICON.respond(&request, ONE_DAY)
}

fn accepts_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::identity(), Encoding::gzip()];
    AcceptEncoding::parse(request).is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

/// Returns the inflated bytes as a stream.
pub fn inflate(compressed: &'static [u8]) -> impl Stream<Item = Result<Bytes, Error>> {
    let chunks = compressed.chunks(CHUNK_BYTES).map(|chunk| Ok(Bytes::from_static(chunk)));
    Decompress::new(stream::iter(chunks), ContentEncoding::Gzip).map_err(Error::from)
}

/// Returns the inflated size, which the last four bytes of gzip contain (RFC 1952 §2.3.1).
fn inflated_size(compressed: &[u8]) -> u64 {
    compressed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size).into())
}
