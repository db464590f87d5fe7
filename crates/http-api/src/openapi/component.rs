//! OpenAPI parts of extractors and responders: which schema they have, their headers and their responses.

use apistos::ApiComponent;
use apistos::paths::{Header, MediaType, Parameter, ParameterDefinition, ParameterIn, Response, Responses};
use apistos::reference_or::ReferenceOr;
use schemars::schema::{InstanceType, Schema, SchemaObject};

/// Implements `ApiComponent` for a type that has the schema of another type, or none: `()`.
macro_rules! api_component {
    ([$($generics:tt)*] $component:ty => () $(, { $($item:item)* })?) => {
        impl<$($generics)*> apistos::ApiComponent for $component {
            fn child_schemas() -> Vec<(String, apistos::reference_or::ReferenceOr<schemars::schema::Schema>)> {
                Vec::new()
            }

            fn schema() -> Option<(String, apistos::reference_or::ReferenceOr<schemars::schema::Schema>)> {
                None
            }

            $($($item)*)?
        }
    };
    ([$($generics:tt)*] $component:ty => $schema:ty $(, { $($item:item)* })?) => {
        impl<$($generics)*> apistos::ApiComponent for $component {
            fn child_schemas() -> Vec<(String, apistos::reference_or::ReferenceOr<schemars::schema::Schema>)> {
                <$schema as apistos::ApiComponent>::child_schemas()
            }

            fn raw_schema() -> Option<apistos::reference_or::ReferenceOr<schemars::schema::Schema>> {
                <$schema as apistos::ApiComponent>::raw_schema()
            }

            fn schema() -> Option<(String, apistos::reference_or::ReferenceOr<schemars::schema::Schema>)> {
                <$schema as apistos::ApiComponent>::schema()
            }

            $($($item)*)?
        }
    };
}
pub(crate) use api_component;

/// Returns responses with the body `T`: each status with its description.
pub fn openapi_responses<T: ApiComponent>(
    statuses: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Responses {
    let schema = T::schema().map(|(name, _)| ReferenceOr::Reference { _ref: format!("#/components/schemas/{name}") });
    let content = MediaType { schema, ..MediaType::default() };
    let response = |description: &str| {
        ReferenceOr::Object(Response {
            description: description.to_owned(),
            content: [("application/json".to_owned(), content.clone())].into(),
            ..Response::default()
        })
    };
    let responses = statuses.into_iter().map(|(status, description)| (status.to_owned(), response(description)));
    Responses { responses: responses.collect(), ..Responses::default() }
}

/// Returns a response without a body.
pub fn empty_response(description: &str) -> ReferenceOr<Response> {
    ReferenceOr::Object(Response { description: description.to_owned(), ..Response::default() })
}

/// Adds headers to the successful responses: each name with its description.
pub fn openapi_headers(mut responses: Responses, headers: &[(&str, &str)]) -> Responses {
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

fn header(description: &str) -> ReferenceOr<Header> {
    let schema = SchemaObject { instance_type: Some(InstanceType::String.into()), ..SchemaObject::default() };
    ReferenceOr::Object(Header {
        description: Some(description.to_owned()),
        definition: Some(ParameterDefinition::Schema(Box::new(ReferenceOr::Object(Schema::Object(schema))))),
        ..Header::default()
    })
}

/// Returns an optional request header.
pub fn header_parameter(name: &str, description: &str, schema: Schema) -> Parameter {
    Parameter {
        name: name.to_owned(),
        _in: ParameterIn::Header,
        description: Some(description.to_owned()),
        required: Some(false),
        definition: Some(ParameterDefinition::Schema(Box::new(ReferenceOr::Object(schema)))),
        ..Parameter::default()
    }
}
