//! The OpenAPI description (3.0.3), which apistos generates from the code.

pub mod component;
mod enrich;
mod errors;
pub mod examples;
pub mod schema;

use std::collections::BTreeMap;

use actix_web::http::header::{CACHE_CONTROL, ETag, HeaderValue};
use actix_web::test::{TestRequest, call_and_read_body, init_service};
use actix_web::web::{Bytes, Data, ServiceConfig, get, resource};
use actix_web::{App, HttpRequest, HttpResponse};
use apistos::IndexMap;
use apistos::app::OpenApiWrapper;
use apistos::info::{Contact, Info, License};
use apistos::security::{Http, SecurityScheme, SecurityType};
use apistos::server::Server;
use apistos::spec::Spec;
use apistos::tag::Tag;
use apistos::web::scope;

use enrich::enrich;

use crate::media_type::JSON_UTF8;
use crate::respond::conditional;
use crate::respond::document::{Document, document};
use crate::root_path::RootPath;
use crate::routes;

/// The path of the description.
pub const PATH: &str = "/openapi.json";

/// The embedded description. Generating it at each start would take 25 MB, which the process would keep. A test compares
/// it with [`generate_spec`].
const SPEC_JSON: Document = document!("../../../../docs/openapi.json", "openapi.json");

/// Generates the description from the routes, as JSON.
pub async fn generate_spec() -> Bytes {
    // apistos returns its description only in a response, so this sends one request in memory.
    let app = App::new()
        .document(spec())
        .configure(routes::service::documented_routes)
        .service(scope("/api/v1").configure(routes::documented_api))
        .build(PATH);
    let service = init_service(app).await;
    let generated = call_and_read_body(&service, TestRequest::get().uri(PATH).to_request()).await;
    // apistos serializes it with serde_json, so it parses.
    enrich(serde_json::from_slice(&generated).unwrap_or_default()).to_string().into()
}

/// Registers the route of the description.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource(PATH).route(get().to(serve)));
}

async fn serve(request: HttpRequest, root: Data<RootPath>) -> HttpResponse {
    if root.is_empty() {
        return SPEC_JSON.respond(&request, JSON_UTF8, "no-cache");
    }
    // The address of the server is the only `url` that is a path.
    let spec =
        String::from_utf8_lossy(SPEC_JSON.plain).replacen(r#""url": "/""#, &format!(r#""url": "{}""#, **root), 1);
    let etag = conditional::etag_of(spec.as_bytes());
    let is_not_modified = conditional::if_none_match(&request, &etag);
    let mut response = if is_not_modified { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache"))).insert_header(ETag(etag));
    if is_not_modified { response.finish() } else { response.content_type(JSON_UTF8).body(spec) }
}

/// Returns the parts of the description besides the operations.
fn spec() -> Spec {
    let tag = |name: &str, description: &str| Tag {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        ..Tag::default()
    };
    let scheme = |name: &str, scheme: &str, description: &str| {
        let http = Http { scheme: scheme.to_owned(), bearer_format: None };
        let scheme = SecurityScheme {
            _type: SecurityType::Http(http),
            description: Some(description.to_owned()),
            extensions: IndexMap::default(),
        };
        BTreeMap::from([(name.to_owned(), scheme)])
    };
    Spec {
        info: Info {
            title: "API Aponta".to_owned(),
            description: Some(
                "Atividades e projetos vinculados ao Azure DevOps: as atividades são aquilo em que se apontam horas.\n\n\
                 Toda resposta tem o cabeçalho `X-Request-ID`, que a encontra nos logs; quem o envia, escolhe o valor. \
                 Todo erro tem `detail` e `message`, ou a forma da RFC 9457 para quem a pede com \
                 `Accept: application/problem+json`."
                    .to_owned(),
            ),
            contact: Some(Contact { name: Some("Equipe da API Aponta".to_owned()), ..Contact::default() }),
            license: Some(License {
                name: "MIT".to_owned(),
                url: Some("https://opensource.org/license/mit".to_owned()),
                ..License::default()
            }),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Info::default()
        },
        servers: vec![Server {
            url: "/".to_owned(),
            description: Some("Este servidor".to_owned()),
            ..Server::default()
        }],
        tags: routes::TAGS.iter().map(|(name, description)| tag(name, description)).collect(),
        securities: vec![
            scheme("bearer", "bearer", "Token de acesso pessoal (PAT) ou token de acesso do Azure DevOps"),
            scheme("basic", "basic", "Usuário vazio e o token de acesso pessoal (PAT) como senha"),
        ],
        ..Spec::default()
    }
}
