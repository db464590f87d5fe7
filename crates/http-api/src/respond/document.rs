//! Documents of the binary, which are compressed when it is built: serving them takes neither time nor memory.

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, ContentEncoding, ETag, Encoding, EntityTag, Header, HeaderValue, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

use crate::respond::conditional;

/// A document as it is, and as `build.rs` compressed it.
#[derive(Clone, Copy)]
pub struct Document {
    /// As it is.
    pub plain: &'static [u8],
    /// As gzip.
    pub gzip: &'static [u8],
    /// As Brotli.
    pub brotli: &'static [u8],
    /// Stands for the content.
    pub tag: u64,
}

/// The document at `$path`, with the name that it has there.
macro_rules! document {
    ($path:literal, $name:literal) => {
        $crate::respond::document::Document {
            plain: include_bytes!($path),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            brotli: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".br")),
            tag: $crate::respond::document::fingerprint($crate::respond::document::SEED, include_bytes!($path)),
        }
    };
}
pub(crate) use document;

/// What [`fingerprint`] begins with.
pub const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: nothing to attack here, only changes to notice.
pub const fn fingerprint(mut hash: u64, mut bytes: &[u8]) -> u64 {
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    hash
}

impl Document {
    /// The response with it, in the encoding that the client prefers, or 304 when the client has just that.
    pub fn respond(&self, request: &HttpRequest, kind: &'static str, cache: &'static str) -> HttpResponse {
        let supported = [Encoding::identity(), Encoding::gzip(), Encoding::brotli()];
        let encoding =
            match AcceptEncoding::parse(request).ok().and_then(|accepted| accepted.negotiate(supported.iter())) {
                Some(Encoding::Known(encoding)) => encoding,
                _ => ContentEncoding::Identity,
            };
        // Each encoding has other bytes, and a strong tag stands for bytes (RFC 9110 §8.8.3.3).
        let (bytes, suffix) = match encoding {
            ContentEncoding::Brotli => (self.brotli, "-br"),
            ContentEncoding::Gzip => (self.gzip, "-gzip"),
            _ => (self.plain, ""),
        };
        let tag = EntityTag::new_strong(format!("{:016x}{suffix}", self.tag));
        let is_known = conditional::is_known(request, &tag);
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((CACHE_CONTROL, HeaderValue::from_static(cache)))
            .insert_header((VARY, HeaderValue::from_static("accept-encoding")))
            .insert_header(ETag(tag));
        if is_known {
            return response.finish();
        }
        if encoding != ContentEncoding::Identity {
            // With this header set, the body is not compressed once more.
            response.insert_header(encoding);
        }
        response.content_type(kind).body(bytes)
    }
}
