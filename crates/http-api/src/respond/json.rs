//! Responses with a JSON body that has no `ETag`.

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use apistos::ApiComponent;
use apistos::paths::Responses;
use serde::Serialize;

use crate::error::ApiError;
use crate::media_type::JSON_UTF8;
use crate::openapi::component::{api_component, openapi_responses};

fn json_response(mut response: HttpResponseBuilder, value: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => response.content_type(JSON_UTF8).body(body),
        Err(error) => ApiError::from(domain::Error::internal(error)).error_response(),
    }
}

/// 200 with a value.
pub struct Json<T>(pub T);

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json_response(HttpResponse::Ok(), &self.0)
    }
}

api_component!([T: ApiComponent] Json<T> => T);

/// 201 with several values, which share no address.
pub struct CreatedList<T>(pub T);

impl<T: Serialize> Responder for CreatedList<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json_response(HttpResponse::Created(), &self.0)
    }
}

api_component!([T: ApiComponent] CreatedList<T> => T, {
    fn responses(_: Option<String>) -> Option<Responses> {
        Some(openapi_responses::<T>([("201", "Criado")]))
    }
});
