//! Responses about a single resource: its representation with an `ETag`, its creation and its deletion.

use actix_web::body::BoxBody;
use actix_web::http::Method;
use actix_web::http::header::{ETag, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use apistos::ApiComponent;
use apistos::paths::Responses;
use serde::Serialize;

use super::conditional;
use crate::error::ApiError;
use crate::media_type::JSON_UTF8;
use crate::openapi::component::{api_component, empty_response, openapi_headers, openapi_responses};
use crate::root_path::RootPath;

const ETAG: (&str, &str) = ("ETag", "Identifica esta representação, para If-None-Match e If-Match");

/// Returns the response with the value and its `ETag`, or 304 if a GET sends that `ETag` in `If-None-Match`.
fn with_etag(mut response: HttpResponseBuilder, request: &HttpRequest, value: &impl Serialize) -> HttpResponse {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => return ApiError::from(domain::Error::internal(error)).error_response(),
    };
    let etag = conditional::etag_of(&body);
    if request.method() == Method::GET && conditional::if_none_match(request, &etag) {
        return HttpResponse::NotModified().insert_header(ETag(etag)).finish();
    }
    response.insert_header(ETag(etag)).content_type(JSON_UTF8).body(body)
}

/// 200 with a resource and its `ETag`, or 304.
pub struct WithEtag<T>(pub T);

impl<T: Serialize> Responder for WithEtag<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        with_etag(HttpResponse::Ok(), request, &self.0)
    }
}

api_component!([T: ApiComponent] WithEtag<T> => T, {
    fn responses(_: Option<String>) -> Option<Responses> {
        let mut responses = openapi_headers(openapi_responses::<T>([("200", "O recurso")]), &[ETAG]);
        let not_modified = empty_response("O cliente já tem esta representação (If-None-Match)");
        responses.responses.insert("304".to_owned(), not_modified);
        Some(responses)
    }
});

/// 200 with a resource after an update, and its new `ETag`.
pub struct Updated<T>(pub T);

impl<T: Serialize> Responder for Updated<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        with_etag(HttpResponse::Ok(), request, &self.0)
    }
}

api_component!([T: ApiComponent] Updated<T> => T, {
    fn responses(_: Option<String>) -> Option<Responses> {
        Some(openapi_headers(openapi_responses::<T>([("200", "O recurso como ficou")]), &[ETAG]))
    }
});

/// 201 with a created resource, its address and its `ETag`.
pub struct Created<T> {
    location: String,
    value: T,
}

impl<T> Created<T> {
    /// Returns the response with `value`, whose address within the service is `location`.
    pub fn at(location: String, value: T) -> Self {
        Self { location, value }
    }
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Created();
        response.insert_header((LOCATION, format!("{}{}", RootPath::of(request), self.location)));
        with_etag(response, request, &self.value)
    }
}

api_component!([T: ApiComponent] Created<T> => T, {
    fn responses(_: Option<String>) -> Option<Responses> {
        let location = ("Location", "Onde está o que foi criado");
        Some(openapi_headers(openapi_responses::<T>([("201", "Criado")]), &[location, ETAG]))
    }
});

/// Returns the response with `with_avisos`, a resource and what could not be checked. The `ETag` is that of the resource alone,
/// as a GET returns it.
fn with_avisos(
    mut response: HttpResponseBuilder,
    resource: &impl Serialize,
    with_avisos: &impl Serialize,
) -> HttpResponse {
    match (serde_json::to_vec(resource), serde_json::to_vec(with_avisos)) {
        (Ok(resource), Ok(body)) => {
            response.insert_header(ETag(conditional::etag_of(&resource))).content_type(JSON_UTF8).body(body)
        }
        (Err(error), _) | (_, Err(error)) => ApiError::from(domain::Error::internal(error)).error_response(),
    }
}

/// 201 with a created resource, its address and its `ETag`, and with what could not be checked.
pub struct CreatedWithAvisos<T, A> {
    location: String,
    value: T,
    with_avisos: A,
}

impl<T, A> CreatedWithAvisos<T, A> {
    /// Returns the response with `with_avisos`, which has the resource `value` at `location`.
    pub fn at(location: String, value: T, with_avisos: A) -> Self {
        Self { location, value, with_avisos }
    }
}

impl<T: Serialize, A: Serialize> Responder for CreatedWithAvisos<T, A> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Created();
        response.insert_header((LOCATION, self.location));
        with_avisos(response, &self.value, &self.with_avisos)
    }
}

api_component!([T, A: ApiComponent] CreatedWithAvisos<T, A> => A, {
    fn responses(_: Option<String>) -> Option<Responses> {
        let location = ("Location", "Onde está o que foi criado");
        Some(openapi_headers(openapi_responses::<A>([("201", "Criado")]), &[location, ETAG]))
    }
});

/// 200 with a resource after an update, its new `ETag`, and with what could not be checked.
pub struct UpdatedWithAvisos<T, A> {
    value: T,
    with_avisos: A,
}

impl<T, A> UpdatedWithAvisos<T, A> {
    /// Returns the response with `with_avisos`, which has the resource `value`.
    pub fn new(value: T, with_avisos: A) -> Self {
        Self { value, with_avisos }
    }
}

impl<T: Serialize, A: Serialize> Responder for UpdatedWithAvisos<T, A> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        with_avisos(HttpResponse::Ok(), &self.value, &self.with_avisos)
    }
}

api_component!([T, A: ApiComponent] UpdatedWithAvisos<T, A> => A, {
    fn responses(_: Option<String>) -> Option<Responses> {
        Some(openapi_headers(openapi_responses::<A>([("200", "O recurso como ficou")]), &[ETAG]))
    }
});

/// 204 after a deletion.
pub struct NoContent;

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

api_component!([] NoContent => (), {
    fn responses(_: Option<String>) -> Option<Responses> {
        let responses = [("204".to_owned(), empty_response("Excluído"))].into();
        Some(Responses { responses, ..Responses::default() })
    }
});
