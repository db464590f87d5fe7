//! `GET /api/v1/atividades`.

use actix_web::body::BoxBody;
use actix_web::http::header::{HeaderValue, LINK, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use apistos::paths::{Examples, MediaType, Responses};
use apistos::reference_or::ReferenceOr;
use apistos::{ApiComponent, api_operation};
use domain::{Atividades, Error};
use schemars::JsonSchema;
use schemars::schema::{InstanceType, Schema, SchemaObject};
use serde::Serialize;

use super::csv;
use super::links::links;
use super::query::ListarAtividades;
use super::response::AtividadeResponse;
use crate::error::{ApiError, Refusal};
use crate::extract::accept::{Accepted, Formato};
use crate::extract::scalars::cursor_text;
use crate::extract::{Input, Nothing};
use crate::limits::searches::Searches;
use crate::middleware::CurrentUser;
use crate::respond::row_stream::{self, RowStream};
use crate::respond::{JSON, documented, with_headers};
use crate::routes::examples;

#[api_operation(
    tag = "Atividades",
    operation_id = "listar_atividades",
    summary = "Listar atividades",
    description = "Uma página das atividades que atendem aos filtros, em JSON, ou todas elas, em CSV.",
    error_code = 422
)]
pub async fn listar(
    atividades: Data<Atividades>,
    searches: Data<Searches>,
    user: CurrentUser,
    input: Input<Nothing, ListarAtividades>,
    request: HttpRequest,
) -> Result<Listed, ApiError> {
    let listagem = input.query.read()?;
    let formato = listagem.formato.or_else(|| Accepted::by(&request).preferred()).ok_or(Refusal::NotAcceptable)?;
    let _search = searches.admit(&user.usuario.id, &listagem.query).await?;
    if formato == Formato::Csv {
        return csv::export(atividades, listagem).await.map(Listed);
    }
    let query = listagem.query.clone();
    let (pagina, proximo) = if listagem.por_cursor {
        atividades.listar_por_cursor(query).await?
    } else {
        (atividades.listar(query).await?, None)
    };
    let proximo = proximo.map(|cursor| cursor_text(&cursor));
    let mut response = HttpResponse::Ok();
    response.content_type(JSON).append_header((VARY, HeaderValue::from_static("accept")));
    if let Some(links) = links(&request, &listagem, pagina.total, proximo.as_deref()) {
        response.insert_header((LINK, links));
    }
    let proximo = listagem.por_cursor.then_some(Proximo(proximo));
    let tail = Tail { total: pagina.total, proximo }.to_text()?;
    let rest = atividades.itens_restantes(listagem.query, &pagina);
    let rows = RowStream::new(pagina.items, rest, row_stream::json::<_, AtividadeResponse>(), tail);
    rows.respond(response, br#"{"items":["#.to_vec()).map(Listed)
}

/// What comes after the rows of a list.
#[derive(Serialize)]
struct Tail {
    total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proximo: Option<Proximo>,
}

impl Tail {
    /// The end of the array and of the object in which it is.
    fn to_text(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec(self).map_err(Error::internal)?;
        text.splice(..1, *b"],");
        Ok(text)
    }
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
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes what `listar` writes row by row")]
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
