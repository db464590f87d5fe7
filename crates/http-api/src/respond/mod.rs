//! What a handler answers when all went well.

pub mod body;
pub mod conditional;
pub mod document;
pub mod row_stream;
pub mod timestamp;

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::Method;
use actix_web::http::header::{ETag, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use apistos::ApiComponent;
use apistos::paths::{Header, MediaType, ParameterDefinition, Response, Responses};
use apistos::reference_or::ReferenceOr;
use schemars::schema::{InstanceType, Schema, SchemaObject};
use serde::Serialize;

use crate::error::ApiError;

/// The media type of every answer.
pub const JSON: &str = "application/json; charset=utf-8";

/// When a retry makes sense, if the service that failed did not say so.
pub const RETRY_SOON: Duration = Duration::from_secs(5);

const ETAG: (&str, &str) = ("ETag", "Identifica esta representação, para If-None-Match e If-Match");

fn json(mut answer: HttpResponseBuilder, value: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => answer.content_type(JSON).body(body),
        Err(error) => ApiError::Domain(domain::Error::internal(error)).error_response(),
    }
}

/// How OpenAPI is told of a header of an answer.
fn header(description: &str) -> ReferenceOr<Header> {
    let schema = SchemaObject { instance_type: Some(InstanceType::String.into()), ..SchemaObject::default() };
    ReferenceOr::Object(Header {
        description: Some(description.to_owned()),
        definition: Some(ParameterDefinition::Schema(Box::new(ReferenceOr::Object(Schema::Object(schema))))),
        ..Header::default()
    })
}

/// The same answers, of which the successes have these headers as well.
pub fn with_headers(mut responses: Responses, headers: &[(&str, &str)]) -> Responses {
    for (status, response) in &mut responses.responses {
        if let ReferenceOr::Object(response) = response
            && status.starts_with('2')
        {
            let headers = headers.iter().map(|(name, description)| ((*name).to_owned(), header(description)));
            response.headers.extend(headers);
        }
    }
    responses
}

/// How OpenAPI is told of answers that carry a `T`: their statuses, each with what it means.
pub fn documented<T: ApiComponent>(statuses: impl IntoIterator<Item = (&'static str, &'static str)>) -> Responses {
    let schema = T::schema().map(|(name, _)| ReferenceOr::Reference { _ref: format!("#/components/schemas/{name}") });
    let content = MediaType { schema, ..MediaType::default() };
    let answer = |description: &str| {
        ReferenceOr::Object(Response {
            description: description.to_owned(),
            content: [("application/json".to_owned(), content.clone())].into(),
            ..Response::default()
        })
    };
    let responses = statuses.into_iter().map(|(status, description)| (status.to_owned(), answer(description)));
    Responses { responses: responses.collect(), ..Responses::default() }
}

/// 200 with a value.
pub struct Found<T>(pub T);

impl<T: Serialize> Responder for Found<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json(HttpResponse::Ok(), &self.0)
    }
}

impl<T: ApiComponent> ApiComponent for Found<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn raw_schema() -> Option<ReferenceOr<Schema>> {
        T::raw_schema()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }
}

/// 200 with one thing, which has a tag; 304 when it is read and the client has just that.
pub struct Single<T, const IS_READ: bool = true>(pub T);

/// 200 with one thing as it is after a change.
pub type Updated<T> = Single<T, false>;

impl<T: Serialize, const IS_READ: bool> Responder for Single<T, IS_READ> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        tagged(HttpResponse::Ok(), request, &self.0)
    }
}

impl<T: ApiComponent, const IS_READ: bool> ApiComponent for Single<T, IS_READ> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn raw_schema() -> Option<ReferenceOr<Schema>> {
        T::raw_schema()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let mut responses = with_headers(documented::<T>([("200", "O recurso")]), &[ETAG]);
        if IS_READ {
            let description = "O cliente já tem esta representação (If-None-Match)".to_owned();
            let known = ReferenceOr::Object(Response { description, ..Response::default() });
            responses.responses.insert("304".to_owned(), known);
        }
        Some(responses)
    }
}

fn tagged(mut answer: HttpResponseBuilder, request: &HttpRequest, value: &impl Serialize) -> HttpResponse {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => return ApiError::Domain(domain::Error::internal(error)).error_response(),
    };
    let tag = conditional::tag(&body);
    if request.method() == Method::GET && conditional::is_known(request, &tag) {
        return HttpResponse::NotModified().insert_header(ETag(tag)).finish();
    }
    answer.insert_header(ETag(tag)).content_type(JSON).body(body)
}

/// 201 with the address of what was created, and the thing itself.
pub struct Created<T> {
    location: String,
    value: T,
}

impl<T> Created<T> {
    /// `value`, which can be had at `location`.
    pub fn at(location: String, value: T) -> Self {
        Self { location, value }
    }
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::Created();
        answer.insert_header((LOCATION, self.location));
        tagged(answer, request, &self.value)
    }
}

impl<T: ApiComponent> ApiComponent for Created<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let location = ("Location", "Onde está o que foi criado");
        Some(with_headers(documented::<T>([("201", "Criado")]), &[location, ETAG]))
    }
}

/// 201 with many things, which have no address together.
pub struct Stored<T>(pub T);

impl<T: Serialize> Responder for Stored<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json(HttpResponse::Created(), &self.0)
    }
}

impl<T: ApiComponent> ApiComponent for Stored<T> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        T::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        T::schema()
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        Some(documented::<T>([("201", "Criado")]))
    }
}

/// 204: it is gone.
pub struct Gone;

impl Responder for Gone {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl ApiComponent for Gone {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        vec![]
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let answer = Response { description: "Excluído".to_owned(), ..Response::default() };
        Some(Responses { responses: [("204".to_owned(), ReferenceOr::Object(answer))].into(), ..Responses::default() })
    }
}
