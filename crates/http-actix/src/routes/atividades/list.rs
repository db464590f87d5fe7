//! `GET /api/v1/atividades`.

use actix_web::body::BoxBody;
use actix_web::http::header::{HeaderValue, LINK, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use apistos::paths::{Examples, MediaType, Responses};
use apistos::reference_or::ReferenceOr;
use apistos::{ApiComponent, api_operation};
use domain::{Atividade, Atividades, Pagina};
use schemars::JsonSchema;
use schemars::schema::{InstanceType, Schema, SchemaObject};
use serde::Serialize;

use super::csv;
use super::links::links;
use super::query::ListarAtividades;
use super::response::AtividadeResponse;
use crate::accept::{Accepted, Formato};
use crate::answer::{Found, documented, with_headers};
use crate::api_error::{ApiError, Refusal};
use crate::input::{Input, Nothing};
use crate::middleware::CurrentUser;
use crate::routes::examples;
use crate::values::cursor_text;

#[api_operation(
    tag = "Atividades",
    operation_id = "listar_atividades",
    summary = "Listar atividades",
    description = "Uma página das atividades que atendem aos filtros, em JSON, ou todas elas, em CSV.",
    error_code = 422
)]
pub async fn listar(
    atividades: Data<Atividades>,
    _user: CurrentUser,
    input: Input<Nothing, ListarAtividades>,
    request: HttpRequest,
) -> Result<Listed, ApiError> {
    let listagem = input.query.read()?;
    let formato = listagem.formato.or_else(|| Accepted::by(&request).preferred()).ok_or(Refusal::NotAcceptable)?;
    if formato == Formato::Csv {
        return csv::export(atividades, listagem).await.map(Listed);
    }
    let query = listagem.query.clone();
    let (pagina, proximo) =
        if listagem.por_cursor { atividades.paginar(query).await? } else { (atividades.listar(query).await?, None) };
    let proximo = proximo.map(|cursor| cursor_text(&cursor));
    let links = links(&request, &listagem, pagina.total, proximo.as_deref());
    let proximo = listagem.por_cursor.then_some(Proximo(proximo));
    let mut answer = Found(ListaAtividades::new(pagina, proximo)).respond_to(&request);
    if let Some(links) = links {
        answer.headers_mut().insert(LINK, links);
    }
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(Listed(answer))
}

/// A list in one of its formats.
pub struct Listed(HttpResponse);

impl Responder for Listed {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl ApiComponent for Listed {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        ListaAtividades::child_schemas()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        ListaAtividades::schema()
    }

    fn responses(_: Option<String>) -> Option<Responses> {
        let mut responses = documented::<ListaAtividades>([("200", "A lista")]);
        let link = ("Link", "Onde estão as outras páginas (RFC 8288): first, prev, next, last");
        responses = with_headers(responses, &[link]);
        if let Some(ReferenceOr::Object(response)) = responses.responses.get_mut("200") {
            let text = SchemaObject { instance_type: Some(InstanceType::String.into()), ..SchemaObject::default() };
            let schema = Some(ReferenceOr::Object(Schema::Object(text)));
            let example = Some(Examples::Example(examples::csv().into()));
            response.content.insert("text/csv".to_owned(), MediaType { schema, example, ..MediaType::default() });
        }
        Some(responses)
    }
}

/// Uma página de atividades.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(example = "crate::routes::examples::lista_atividades")]
struct ListaAtividades {
    /// As atividades desta página.
    items: Vec<AtividadeResponse>,
    /// Quantas atividades atendem aos filtros, em todas as páginas.
    total: u64,
    /// Só na resposta a um pedido com `apos`: o cursor da próxima página; null na última.
    #[serde(skip_serializing_if = "Option::is_none")]
    proximo: Option<Proximo>,
}

/// Um cursor, ou null quando não há próxima página.
#[derive(Serialize, JsonSchema)]
struct Proximo(Option<String>);

impl ListaAtividades {
    fn new(pagina: Pagina<Atividade>, proximo: Option<Proximo>) -> Self {
        Self { items: pagina.items.into_iter().map(Into::into).collect(), total: pagina.total, proximo }
    }
}
