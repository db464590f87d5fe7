//! Long lists, written row by row: whole, if they are short, and else while the client reads them.

use std::vec;

use actix_web::body::BoxBody;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use apistos::ApiComponent;
use apistos::reference_or::ReferenceOr;
use domain::{Batches, Error};
use futures_util::stream;
use schemars::schema::Schema;
use serde::Serialize;

use crate::error::ApiError;
use crate::respond::JSON;

/// The largest body that is made at once, in bytes.
const WHOLE: usize = 1024 * 1024;
/// A chunk ends with the first row that makes it larger.
const CHUNK: usize = 64 * 1024;

type Write<T> = Box<dyn FnMut(T, &mut Vec<u8>) -> Result<(), Error>>;

/// Rows that are still to be written.
pub struct RowStream<B: Batches> {
    rows: vec::IntoIter<B::Row>,
    /// Where more of them come from.
    batches: Option<B>,
    write: Write<B::Row>,
    /// What comes after the last one.
    tail: Vec<u8>,
}

impl<B: Batches + 'static> RowStream<B> {
    /// `rows`, those of `batches`, each as `write` writes it, and `tail`.
    pub fn new(rows: Vec<B::Row>, batches: Option<B>, write: Write<B::Row>, tail: Vec<u8>) -> Self {
        Self { rows: rows.into_iter(), batches, write, tail }
    }

    /// The response with all of it, after `head`. A failure of a later batch aborts the connection, so that no client
    /// takes a part for the whole.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn respond(mut self, mut response: HttpResponseBuilder, head: Vec<u8>) -> Result<HttpResponse, ApiError> {
        let mut body = head;
        let max = if self.batches.is_none() { WHOLE } else { CHUNK };
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

    /// The next piece of text, if there is one. A batch is fetched only when all of the one before was taken.
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut chunk = Vec::new();
        loop {
            self.fill(&mut chunk, CHUNK)?;
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

    /// Writes rows at hand until there is more text than `max`.
    fn fill(&mut self, text: &mut Vec<u8>, max: usize) -> Result<(), Error> {
        while text.len() <= max
            && let Some(row) = self.rows.next()
        {
            (self.write)(row, text)?;
        }
        Ok(())
    }
}

/// Writes each row as the JSON of an `R`, with commas in between.
pub fn json<T, R: From<T> + Serialize>() -> Write<T> {
    separated(|row, text| serde_json::to_writer(text, &R::from(row)).map_err(Error::internal))
}

/// Writes each row, which is JSON, with commas in between.
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

/// 200 with a JSON array of `T`, as a response that is made already.
pub struct JsonArray<T> {
    response: HttpResponse,
    of: std::marker::PhantomData<T>,
}

impl<T> JsonArray<T> {
    /// The array of `rows` and those of `batches`, each as `write` writes it.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub fn new<B: Batches + 'static>(
        rows: Vec<B::Row>,
        batches: Option<B>,
        write: Write<B::Row>,
    ) -> Result<Self, ApiError> {
        let mut response = HttpResponse::Ok();
        response.content_type(JSON);
        let response = RowStream::new(rows, batches, write, b"]".to_vec()).respond(response, b"[".to_vec())?;
        Ok(Self { response, of: std::marker::PhantomData })
    }
}

impl<T> Responder for JsonArray<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

impl<T: ApiComponent> ApiComponent for JsonArray<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        <Vec<T> as ApiComponent>::child_schemas()
    }

    fn raw_schema() -> Option<ReferenceOr<Schema>> {
        <Vec<T> as ApiComponent>::raw_schema()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        <Vec<T> as ApiComponent>::schema()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{BodySize, MessageBody, to_bytes};

    use super::*;

    /// Batches of so many rows each; `None` fails.
    struct Given(vec::IntoIter<Option<usize>>);

    impl Batches for Given {
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

    /// A row of 240 kB in JSON.
    fn row() -> String {
        "\u{1}".repeat(40_000)
    }

    fn array(first: usize, batches: Option<Vec<Option<usize>>>) -> HttpResponse {
        let batches = batches.map(|batches| Given(batches.into_iter()));
        JsonArray::<String>::new(vec![row(); first], batches, json::<_, String>()).unwrap().response
    }

    #[actix_web::test]
    async fn a_short_list_is_sized_and_a_long_one_is_streamed() {
        let cases = [
            (0, None, true),
            (4, None, true),
            // A whole body ends with the row that makes it larger than 1 MiB.
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
            let Ok(body) = to_bytes(body).await else { panic!("the body broke off") };
            let read: Vec<String> = serde_json::from_slice(&body).unwrap();
            assert!(read == vec![row(); rows], "{first} {batches:?}");
        }
    }

    #[actix_web::test]
    async fn a_failure_after_the_first_batch_aborts_the_body() {
        let body = array(1, Some(vec![Some(1), None])).into_body();
        assert!(to_bytes(body).await.is_err());
    }
}
