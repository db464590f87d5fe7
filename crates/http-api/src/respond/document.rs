//! Embedded documents. `build.rs` compresses them, so that a response costs neither CPU time nor memory.

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, ContentEncoding, ETag, Encoding, EntityTag, Header, HeaderValue, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

use crate::respond::conditional;

/// A document in three encodings.
#[derive(Clone, Copy)]
pub struct Document {
    /// Not encoded.
    pub plain: &'static [u8],
    /// Encoded with gzip.
    pub gzip: &'static [u8],
    /// Encoded with Brotli.
    pub brotli: &'static [u8],
    /// A hash of the content.
    pub hash: u64,
}

/// Embeds the document at `$path`, whose file name is `$name`.
macro_rules! document {
    ($path:literal, $name:literal) => {
        $crate::respond::document::Document {
            plain: include_bytes!($path),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            brotli: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".br")),
            hash: $crate::respond::document::fingerprint($crate::respond::document::SEED, include_bytes!($path)),
        }
    };
}
pub(crate) use document;

/// The initial value of [`fingerprint`].
pub const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns the FNV-1a hash. It detects changes and resists no attack.
pub const fn fingerprint(mut hash: u64, mut bytes: &[u8]) -> u64 {
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    hash
}

impl Document {
    /// Returns the response in the encoding that the client prefers, or 304 if `If-None-Match` lists its `ETag`.
    pub fn respond(&self, request: &HttpRequest, kind: &'static str, cache: &'static str) -> HttpResponse {
        let supported = [Encoding::identity(), Encoding::gzip(), Encoding::brotli()];
        let encoding =
            match AcceptEncoding::parse(request).ok().and_then(|accepted| accepted.negotiate(supported.iter())) {
                Some(Encoding::Known(encoding)) => encoding,
                _ => ContentEncoding::Identity,
            };
        // A strong ETag identifies bytes, so each encoding has its own (RFC 9110 §8.8.3.3).
        let (bytes, suffix) = match encoding {
            ContentEncoding::Brotli => (self.brotli, "-br"),
            ContentEncoding::Gzip => (self.gzip, "-gzip"),
            _ => (self.plain, ""),
        };
        let etag = EntityTag::new_strong(format!("{:016x}{suffix}", self.hash));
        let is_not_modified = conditional::if_none_match(request, &etag);
        let mut response = if is_not_modified { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((CACHE_CONTROL, HeaderValue::from_static(cache)))
            .insert_header((VARY, HeaderValue::from_static("accept-encoding")))
            .insert_header(ETag(etag));
        if is_not_modified {
            return response.finish();
        }
        if encoding != ContentEncoding::Identity {
            // This header keeps the compression middleware from encoding the body again.
            response.insert_header(encoding);
        }
        response.content_type(kind).body(bytes)
    }
}
