//! Where the body of a request ends (RFC 9112 §6.3). The dispatcher has already validated the headers.

use actix_http::{HttpMessage as _, Request};
use actix_web::http::Method;
use actix_web::http::header::CONTENT_LENGTH;

/// The body breaks the syntax of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// What is missing of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// That number of bytes.
    Bytes(u64),
    /// Chunks.
    Chunks(Chunks),
    /// Everything until the client closes the connection.
    UntilClose,
}

impl Default for BodyLength {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

/// The next byte in a sequence of chunks (RFC 9112 §7.1). The syntax is that of the dispatcher, which would respond a
/// second time to chunks that it rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    SizeStart,
    Size(u64),
    SpaceAfterSize(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl BodyLength {
    /// Returns the length of the body that `request` announces.
    pub fn of(request: &Request) -> Self {
        if request.chunked().unwrap_or(false) {
            return Self::Chunks(Chunks::SizeStart);
        }
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
        match length {
            None | Some(0) if *request.method() == Method::CONNECT => Self::UntilClose,
            length => Self::Bytes(length.unwrap_or(0)),
        }
    }

    /// Returns whether nothing is missing.
    pub const fn is_complete(&self) -> bool {
        matches!(self, Self::Bytes(0) | Self::Chunks(Chunks::End))
    }

    /// Takes the part of `bytes` that belongs to the body, and returns its length.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::UntilClose => Ok(bytes.len()),
            Self::Bytes(missing) => Ok(take_up_to(missing, bytes.len())),
            Self::Chunks(chunks) => chunks.take(bytes),
        }
    }
}

fn take_up_to(missing: &mut u64, length: usize) -> usize {
    let taken = usize::try_from(*missing).unwrap_or(usize::MAX).min(length);
    *missing = missing.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
    taken
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut rest = bytes;
        while *self != Self::End {
            if let Self::Data(missing) = self {
                let taken = take_up_to(missing, rest.len());
                rest = rest.get(taken..).unwrap_or_default();
                if *missing == 0 {
                    *self = Self::DataCr;
                }
            }
            let Some((byte, after)) = rest.split_first() else { break };
            *self = self.after(*byte).ok_or(Malformed)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Returns the state after `byte`, unless it is not allowed there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::SizeStart, _) => Self::Size(hex(byte)?),
            (Self::Size(size) | Self::SpaceAfterSize(size), b' ' | b'\t') => Self::SpaceAfterSize(size),
            (Self::Size(size) | Self::SpaceAfterSize(size) | Self::Extension(size), b'\r') => Self::SizeLf(size),
            (Self::Size(size) | Self::SpaceAfterSize(size), b';')
            | (Self::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => Self::Extension(size),
            (Self::Size(size), _) => Self::Size(size.checked_mul(16)?.checked_add(hex(byte)?)?),
            (Self::SizeLf(0) | Self::TrailerLf, b'\n') => Self::TrailerStart,
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::SizeStart,
            (Self::TrailerStart, b'\r') => Self::EndLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::TrailerStart | Self::Trailer, _) => Self::Trailer,
            (Self::EndLf, b'\n') => Self::End,
            _ => return None,
        })
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `size`. Returns the number of bytes taken and whether the body is complete.
    fn taken(bytes: &[u8], size: usize) -> Result<(usize, bool), Malformed> {
        let mut length = BodyLength::Chunks(Chunks::SizeStart);
        let mut sum = 0;
        for piece in bytes.chunks(size) {
            let taken = length.take(piece)?;
            sum += taken;
            if taken < piece.len() {
                break;
            }
        }
        Ok((sum, length.is_complete()))
    }

    #[test]
    fn chunks_end_after_the_empty_line_whatever_the_pieces() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "3 ;a=b\r\nabc\r\nA\r\n0123456789\r\n00\r\n\r\n",
            "1\r\na\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
        ] {
            let with_next = format!("{body}GET / HTTP/1.1\r\n");
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(taken(with_next.as_bytes(), size), Ok((body.len(), true)), "{body:?} {size}");
            }
            assert_eq!(taken(&body.as_bytes()[..body.len() - 1], 1000), Ok((body.len() - 1, false)));
        }
    }

    #[test]
    fn malformed_chunks_are_errors() {
        for body in
            ["", "zz\r\n", "3\nabc", "3\r\nabcd\r\n", "3\r\nabc\rX", "1 2\r\n", "10000000000000000\r\n", "3;\0\r\n"]
        {
            let is_error = taken(body.as_bytes(), 1000).is_err();
            assert_eq!(is_error, !body.is_empty(), "{body:?}");
        }
    }

    #[test]
    fn bytes_are_counted() {
        let mut length = BodyLength::Bytes(5);
        assert_eq!((length.take(b"abc"), length.is_complete()), (Ok(3), false));
        assert_eq!((length.take(b"defgh"), length.is_complete()), (Ok(2), true));
    }
}
