//! Lists that are serialized row by row: a short list at once, a long one while the client reads it.

use std::vec;

use actix_web::body::BoxBody;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use apistos::ApiComponent;
use domain::{Batches, Error};
use futures_util::stream;
use serde::Serialize;

use crate::error::ApiError;
use crate::media_type::JSON_UTF8;
use crate::openapi::component::api_component;

/// The maximum size of a body that is built at once, in bytes.
const MAX_BUFFERED_BYTES: usize = 1024 * 1024;
/// A chunk ends with the first row that makes it larger than this.
const CHUNK_BYTES: usize = 64 * 1024;

/// Appends a row to a text.
type Write<T> = Box<dyn FnMut(T, &mut Vec<u8>) -> Result<(), Error>>;

/// Rows that are not serialized yet.
pub struct RowStream<B: Batches> {
    rows: vec::IntoIter<B::Row>,
    /// The source of further rows.
    batches: Option<B>,
    write: Write<B::Row>,
    /// The text after the last row.
    tail: Vec<u8>,
}

impl<B: Batches + 'static> RowStream<B> {
    /// Returns the stream of `rows` and those of `batches`, serialized by `write`, followed by `tail`.
    pub fn new(rows: Vec<B::Row>, batches: Option<B>, write: Write<B::Row>, tail: Vec<u8>) -> Self {
        Self { rows: rows.into_iter(), batches, write, tail }
    }

    /// Returns the response with `head` and all rows. If a later batch fails, the connection is aborted, so that no client
    /// mistakes a partial list for a complete one.
    ///
    /// # Errors
    /// If a row cannot be serialized.
    pub fn respond(mut self, mut response: HttpResponseBuilder, head: Vec<u8>) -> Result<HttpResponse, ApiError> {
        let mut body = head;
        let max = if self.batches.is_none() { MAX_BUFFERED_BYTES } else { CHUNK_BYTES };
        self.fill(&mut body, max)?;
        if self.batches.is_none() && self.rows.as_slice().is_empty() {
            body.append(&mut self.tail);
            return Ok(response.body(body));
        }
        let rest = stream::try_unfold(self, async |mut rows| {
            let chunk = rows.next_chunk().await.map_err(ApiError::from).inspect_err(ApiError::log)?;
            Ok::<_, ApiError>(chunk.map(|chunk| (Bytes::from(chunk), rows)))
        });
        let body = stream::StreamExt::chain(stream::iter([Ok(Bytes::from(body))]), rest);
        Ok(response.streaming(body))
    }

    /// Returns the next chunk. A batch is fetched only after all rows of the previous one are serialized.
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut chunk = Vec::new();
        loop {
            self.fill(&mut chunk, CHUNK_BYTES)?;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            let Some(batches) = &mut self.batches else { break };
            match batches.next().await? {
                Some(rows) => self.rows = rows.into_iter(),
                None => self.batches = None,
            }
        }
        chunk.append(&mut self.tail);
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Serializes fetched rows until `text` is larger than `max`.
    fn fill(&mut self, text: &mut Vec<u8>, max: usize) -> Result<(), Error> {
        while text.len() <= max
            && let Some(row) = self.rows.next()
        {
            (self.write)(row, text)?;
        }
        Ok(())
    }
}

/// Serializes each row as the JSON of an `R`, separated by commas.
pub fn json<T, R: From<T> + Serialize>() -> Write<T> {
    separated(|row, text| serde_json::to_writer(text, &R::from(row)).map_err(Error::internal))
}

/// Copies each row, which is JSON, separated by commas.
pub fn raw_json() -> Write<String> {
    separated(|row: String, text| {
        text.extend_from_slice(row.as_bytes());
        Ok(())
    })
}

fn separated<T>(mut write: impl FnMut(T, &mut Vec<u8>) -> Result<(), Error> + 'static) -> Write<T> {
    let mut is_first = true;
    Box::new(move |row, text| {
        if !std::mem::take(&mut is_first) {
            text.push(b',');
        }
        write(row, text)
    })
}

/// 200 with a JSON array of `T`.
pub struct JsonArray<T> {
    response: HttpResponse,
    item: std::marker::PhantomData<T>,
}

impl<T> JsonArray<T> {
    /// Returns the response with `rows` and those of `batches`, serialized by `write`.
    ///
    /// # Errors
    /// If a row cannot be serialized.
    pub fn new<B: Batches + 'static>(
        rows: Vec<B::Row>,
        batches: Option<B>,
        write: Write<B::Row>,
    ) -> Result<Self, ApiError> {
        let mut response = HttpResponse::Ok();
        response.content_type(JSON_UTF8);
        let response = RowStream::new(rows, batches, write, b"]".to_vec()).respond(response, b"[".to_vec())?;
        Ok(Self { response, item: std::marker::PhantomData })
    }
}

impl<T> Responder for JsonArray<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

api_component!([T: ApiComponent] JsonArray<T> => Vec<T>);

#[cfg(test)]
mod tests {
    use actix_web::body::{BodySize, MessageBody, to_bytes};

    use super::*;

    /// Batches with these numbers of rows; `None` is a failure.
    struct FixedBatches(vec::IntoIter<Option<usize>>);

    impl Batches for FixedBatches {
        type Row = String;

        async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
            match self.0.next() {
                Some(Some(rows)) => Ok(Some(vec![row(); rows])),
                Some(None) => Err(Error::internal("broken")),
                None => Ok(None),
            }
        }

        fn has_more(&self) -> bool {
            !self.0.as_slice().is_empty()
        }
    }

    /// Returns a row of 240 kB in JSON.
    fn row() -> String {
        "\u{1}".repeat(40_000)
    }

    fn array(first: usize, batches: Option<Vec<Option<usize>>>) -> HttpResponse {
        let batches = batches.map(|batches| FixedBatches(batches.into_iter()));
        JsonArray::<String>::new(vec![row(); first], batches, json::<_, String>()).unwrap().response
    }

    #[actix_web::test]
    async fn list_within_the_buffer_is_sized_and_a_longer_one_is_streamed() {
        let cases = [
            (0, None, true),
            (4, None, true),
            // The last row makes the body larger than 1 MiB.
            (5, None, true),
            (6, None, false),
            (1, Some(vec![]), false),
            (1, Some(vec![Some(1)]), false),
            (0, Some(vec![Some(3), Some(0), Some(2)]), false),
        ];
        for (first, batches, is_sized) in cases {
            let rows = first + batches.iter().flatten().flatten().sum::<usize>();
            let body = array(first, batches.clone()).into_body();
            assert_eq!(matches!(body.size(), BodySize::Sized(_)), is_sized, "{first} {batches:?}");
            let Ok(body) = to_bytes(body).await else { panic!("the body was aborted") };
            let read: Vec<String> = serde_json::from_slice(&body).unwrap();
            assert!(read == vec![row(); rows], "{first} {batches:?}");
        }
    }

    #[actix_web::test]
    async fn failure_after_the_first_batch_aborts_the_body() {
        let body = array(1, Some(vec![Some(1), None])).into_body();
        assert!(to_bytes(body).await.is_err());
    }
}
