//! Responses with one page of a list: items, total, cursor and `Link` header.

use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::http::header::{HeaderValue, LINK, VARY};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use apistos::ApiComponent;
use apistos::paths::{Examples, MediaType, Responses};
use apistos::reference_or::ReferenceOr;
use domain::{Batches, Error};
use schemars::JsonSchema;
use schemars::schema::{InstanceType, Schema, SchemaObject};
use serde::Serialize;

use super::csv::{CsvRow, csv_example};
use super::links::links;
use super::row_stream::{self, RowStream};
use crate::error::ApiError;
use crate::extract::paging::Paging;
use crate::extract::part::{RequestPart, fields};
use crate::media_type::{CSV, JSON_UTF8};
use crate::openapi::component::{api_component, openapi_headers, openapi_responses};

/// The first rows of a page, and the source of its other rows.
pub struct Rows<B: Batches> {
    /// The first rows.
    pub first: Vec<B::Row>,
    /// The other rows.
    pub rest: Option<B>,
    /// The number of matches on all pages.
    pub total: u64,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// Returns the page as JSON, each row as an `R`. `Q` is the type of the query.
///
/// # Errors
/// If a row cannot be serialized.
pub fn json_page<Q, B, R>(request: &HttpRequest, paging: &Paging, rows: Rows<B>) -> Result<HttpResponse, ApiError>
where
    Q: RequestPart,
    B: Batches + 'static,
    R: From<B::Row> + Serialize,
{
    let Rows { first, rest, total, next } = rows;
    let mut response = HttpResponse::Ok();
    response.content_type(JSON_UTF8).append_header((VARY, HeaderValue::from_static("accept")));
    if let Some(links) = links(request, &fields::<Q>(), paging, total, next.as_deref()) {
        response.insert_header((LINK, links));
    }
    json_items::<_, R>(response, first, rest, &Tail { total, proximo: paging.by_cursor.then_some(Proximo(next)) })
}

/// Returns an object with the items `first` and those of `rest`, each as an `R`, followed by the fields of `tail`.
///
/// # Errors
/// If a row cannot be serialized.
pub fn json_items<B, R>(
    response: HttpResponseBuilder,
    first: Vec<B::Row>,
    rest: Option<B>,
    tail: &impl Serialize,
) -> Result<HttpResponse, ApiError>
where
    B: Batches + 'static,
    R: From<B::Row> + Serialize,
{
    json_list::<_, R>("items", response, first, rest, tail)
}

/// Returns an object as [`json_items`] does, with a `name` for the items.
///
/// # Errors
/// If a row cannot be serialized.
pub fn json_list<B, R>(
    name: &str,
    response: HttpResponseBuilder,
    first: Vec<B::Row>,
    rest: Option<B>,
    tail: &impl Serialize,
) -> Result<HttpResponse, ApiError>
where
    B: Batches + 'static,
    R: From<B::Row> + Serialize,
{
    let mut text = serde_json::to_vec(tail).map_err(Error::internal)?;
    // The end of the array and of the object.
    text.splice(..1, *b"],");
    let head = format!("{{\"{name}\":[").into_bytes();
    RowStream::new(first, rest, row_stream::json::<_, R>(), text).respond(response, head)
}

/// The fields after the items.
#[derive(Serialize)]
struct Tail {
    total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proximo: Option<Proximo>,
}

/// Um cursor, ou null quando não há próxima página.
#[derive(Serialize, JsonSchema)]
pub struct Proximo(pub Option<String>);

/// 200 with a page as JSON, described by the schema `L`, or with a CSV document of rows `R`.
pub struct ListResponse<L, R> {
    response: HttpResponse,
    schema: PhantomData<(L, R)>,
}

impl<L, R> From<HttpResponse> for ListResponse<L, R> {
    fn from(response: HttpResponse) -> Self {
        Self { response, schema: PhantomData }
    }
}

impl<L, R> Responder for ListResponse<L, R> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

api_component!([L: ApiComponent, R: CsvRow] ListResponse<L, R> => L, {
    fn responses(_: Option<String>) -> Option<Responses> {
        let mut responses = openapi_responses::<L>([("200", "A lista")]);
        let link = ("Link", "Onde estão as outras páginas (RFC 8288): first, prev, next, last");
        responses = openapi_headers(responses, &[link]);
        if let Some(ReferenceOr::Object(response)) = responses.responses.get_mut("200") {
            let text = SchemaObject { instance_type: Some(InstanceType::String.into()), ..SchemaObject::default() };
            let schema = Some(ReferenceOr::Object(Schema::Object(text)));
            let example = csv_example::<R>().map(|example| Examples::Example(example.into()));
            response.content.insert(CSV.to_owned(), MediaType { schema, example, ..MediaType::default() });
        }
        Some(responses)
    }
});

/// 200 with a report as JSON, described by the schema `T`, or as a CSV document whose columns depend on the request.
pub struct ReportResponse<T> {
    response: HttpResponse,
    schema: PhantomData<T>,
}

impl<T> From<HttpResponse> for ReportResponse<T> {
    fn from(response: HttpResponse) -> Self {
        Self { response, schema: PhantomData }
    }
}

impl<T> Responder for ReportResponse<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

api_component!([T: ApiComponent] ReportResponse<T> => T, {
    fn responses(_: Option<String>) -> Option<Responses> {
        let mut responses = openapi_responses::<T>([("200", "O relatório")]);
        if let Some(ReferenceOr::Object(response)) = responses.responses.get_mut("200") {
            let text = SchemaObject { instance_type: Some(InstanceType::String.into()), ..SchemaObject::default() };
            let schema = Some(ReferenceOr::Object(Schema::Object(text)));
            response.content.insert(CSV.to_owned(), MediaType { schema, ..MediaType::default() });
        }
        Some(responses)
    }
});
