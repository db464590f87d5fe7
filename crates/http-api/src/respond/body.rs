//! Response bodies in slices that hold their memory reservation until the client has read them.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use crate::limits::in_flight::Reservation;

/// The maximum size of a slice. A connection copies one slice and requests the next when most of it is sent, so a slice is
/// all that it holds beside the shared body.
pub const SLICE: usize = 64 * 1024;

/// A body that holds its reservations until it is sent or the client disconnects.
pub struct SlicedBody {
    body: BoxBody,
    pending: Bytes,
    _reservations: Vec<Reservation>,
}

impl SlicedBody {
    /// Wraps `body` without changing its bytes.
    pub fn new(body: BoxBody, reservations: Vec<Reservation>) -> Self {
        Self { body, pending: Bytes::new(), _reservations: reservations }
    }
}

impl MessageBody for SlicedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.pending.is_empty() {
            match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.pending = bytes,
                other => return other,
            }
        }
        let length = self.pending.len().min(SLICE);
        Poll::Ready(Some(Ok(self.pending.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[actix_web::test]
    async fn body_of_any_size_is_sliced_without_loss() {
        for size in [0, 1, SLICE, SLICE + 1, 3 * SLICE + 7] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            let mut body = SlicedBody::new(BoxBody::new(bytes.clone()), Vec::new());
            assert_eq!(body.size(), BodySize::Sized(size as u64));
            let mut seen = Vec::new();
            while let Some(slice) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
                let slice = slice.unwrap();
                assert!(!slice.is_empty() && slice.len() <= SLICE);
                seen.extend(slice);
            }
            assert!(seen == bytes, "{size}");
        }
    }
}
