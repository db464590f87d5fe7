//! `/api/v1/relatorios`.

mod linha;

use std::iter::Empty;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use apistos::{ApiComponent, api_operation};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use domain::{
    Agrupamento, ApontamentoFiltro, Apontamentos, AtividadeId, LinhaDeHoras, ProjetoRef, WorkItemId, hours_and_minutes,
};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;
use time::Date;
use uuid::Uuid;

use self::linha::LinhaResponse;
use super::apontamentos::query::QueryUsuario;
use super::apontamentos::response::decimal_text;
use crate::error::validation::{ValidationErrors, type_error};
use crate::error::{ApiError, RequestRejection, messages_pt};
use crate::extract::accept::{AcceptHeader, Formato};
use crate::extract::input::Input;
use crate::extract::paging::{self, Paging, QueryBool, Separador};
use crate::extract::part::{NoPart, RequestPart};
use crate::limits::in_flight::{InFlight, REPORT};
use crate::limits::searches::Searches;
use crate::media_type::JSON_UTF8;
use crate::middleware::authentication::CurrentUser;
use crate::openapi::schema;
use crate::respond::csv::{csv_table, decimal};
use crate::respond::list::{ReportResponse, json_list};

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Relatórios", "Somas das horas apontadas");

const DISPOSITION: &str = "attachment; filename=\"horas.csv\"";

routes! {
    /// The routes of reports.
    config => {
        config.service(resource("/relatorios/horas").route(get().to(horas)));
    }
}

#[api_operation(
    tag = "Relatórios",
    operation_id = "relatorio_de_horas",
    summary = "Somar horas",
    description = "As horas de um período, somadas por um a três agrupamentos, em JSON ou CSV; no máximo 10.000 linhas.",
    error_code = 422
)]
async fn horas(
    apontamentos: Data<Apontamentos>,
    searches: Data<Searches>,
    in_flight: Data<InFlight>,
    user: CurrentUser<true>,
    input: Input<NoPart, RelatorioDeHoras>,
    request: HttpRequest,
) -> Result<ReportResponse<Relatorio>, ApiError> {
    let RelatorioDeHoras { de, ate, agrupar, usuario, id_projeto, id_atividade, work_item_id, formato, bom, separador } =
        input.query;
    let filtro = ApontamentoFiltro {
        de: Some(de),
        ate: Some(ate),
        usuario: usuario.map(|usuario| usuario.of(&user)),
        projeto: id_projeto,
        atividade: id_atividade,
        work_item: work_item_id,
        escrita: None,
    };
    let Paging { formato, csv, .. } = Paging::new((None, None, false), (formato, bom, separador));
    let preferred = || AcceptHeader::from_request(&request).preferred();
    let formato = formato.or_else(preferred).ok_or(RequestRejection::NotAcceptable)?;
    let _search = searches.admit(&user.usuario.id, true).await?;
    in_flight.reserve_response(&request, &user.usuario.id, REPORT).await?;
    let linhas = apontamentos.relatorio(filtro, agrupar.0.clone()).await?;
    if formato == Formato::Csv {
        let columns: Vec<_> = agrupar.0.iter().flat_map(|key| linha::columns(*key)).copied().chain(SUMS).collect();
        return Ok(csv_table(&columns, linhas, row, csv, DISPOSITION)?.into());
    }
    let total_minutos = linhas.iter().map(|linha| linha.totais.minutos).sum();
    let tail = Tail { total_minutos, total_formatado: hours_and_minutes(total_minutos) };
    let mut response = HttpResponse::Ok();
    response.content_type(JSON_UTF8);
    Ok(json_list::<_, LinhaResponse>("linhas", response, linhas, None::<Empty<LinhaDeHoras>>, &tail)?.into())
}

/// The fields after the lines.
#[derive(Serialize)]
struct Tail {
    total_minutos: u64,
    total_formatado: String,
}

/// The columns after the keys.
const SUMS: [&str; 4] = ["duracao", "horas", "minutos", "apontamentos"];

fn row(linha: LinhaDeHoras, separator: u8) -> Vec<String> {
    let minutos = linha.totais.minutos;
    let sums = [
        hours_and_minutes(minutos),
        decimal(&decimal_text(minutos), separator),
        minutos.to_string(),
        linha.totais.apontamentos.to_string(),
    ];
    linha.chaves.into_iter().flat_map(linha::cells).chain(sums).collect()
}

/// As horas de um período.
#[derive(JsonSchema, ApiComponent)]
#[expect(dead_code, reason = "it describes what `json_list` writes row by row")]
#[schemars(example = "crate::openapi::examples::relatorio")]
struct Relatorio {
    /// As somas, na ordem dos agrupamentos: datas em ordem, o resto por nome.
    linhas: Vec<LinhaResponse>,
    /// A soma de todas as linhas, em minutos.
    total_minutos: u64,
    /// A soma de todas as linhas, `HH:MM`.
    total_formatado: String,
}

/// The parameters of a report of hours.
#[derive(Deserr, JsonSchema, ApiComponent)]
#[deserr(error = ValidationErrors)]
struct RelatorioDeHoras {
    /// O primeiro dia, `AAAA-MM-DD`.
    #[schemars(schema_with = "schema::data")]
    de: Date,
    /// O último dia, inclusive, `AAAA-MM-DD`.
    #[schemars(schema_with = "schema::data")]
    ate: Date,
    /// De um a três agrupamentos diferentes, separados por vírgulas: `projeto`, `atividade`, `usuario`, `work_item`, `dia`,
    /// `semana`, `mes`.
    #[schemars(schema_with = "agrupamentos")]
    agrupar: Agrupar,
    /// Só as horas desta pessoa: `eu`, um id ou um e-mail.
    #[deserr(default)]
    #[schemars(schema_with = "schema::usuario", default)]
    usuario: Option<QueryUsuario>,
    /// Só as horas deste projeto.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_projeto: Option<ProjetoRef>,
    /// Só as horas desta atividade.
    #[deserr(default)]
    #[schemars(with = "Uuid", default)]
    id_atividade: Option<AtividadeId>,
    /// Só as horas deste work item.
    #[deserr(default)]
    #[schemars(with = "i32", default, range(min = 1))]
    work_item_id: Option<WorkItemId>,
    /// A representação; sem este parâmetro, decide o cabeçalho `Accept`.
    #[deserr(default)]
    #[schemars(schema_with = "paging::formatos", default)]
    formato: Option<Formato>,
    /// Se o CSV começa com a marca de ordem de bytes (BOM), pela qual o Excel reconhece UTF-8.
    #[deserr(default)]
    #[schemars(with = "bool", default)]
    bom: Option<QueryBool>,
    /// O separador das colunas do CSV; com `;`, que o Excel em português espera, as horas têm vírgula decimal.
    #[deserr(default)]
    #[schemars(schema_with = "paging::separadores", default)]
    separador: Option<Separador>,
}

impl RequestPart for RelatorioDeHoras {}

/// One to three different groupings.
struct Agrupar(Vec<Agrupamento>);

impl Agrupar {
    const MAX: usize = 3;
}

const AGRUPAMENTOS: [(&str, Agrupamento); 7] = [
    ("projeto", Agrupamento::Projeto),
    ("atividade", Agrupamento::Atividade),
    ("usuario", Agrupamento::Usuario),
    ("work_item", Agrupamento::WorkItem),
    ("dia", Agrupamento::Dia),
    ("semana", Agrupamento::Semana),
    ("mes", Agrupamento::Mes),
];

fn agrupamentos(_: &mut SchemaGenerator) -> Schema {
    let names = AGRUPAMENTOS.map(|(name, _)| name).join("|");
    schema::text("atividade,work_item,usuario".len(), &format!("^({names})(,({names})){{0,2}}$"))
}

impl Deserr<ValidationErrors> for Agrupar {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ValidationErrors> {
        let Value::String(text) = value else {
            return Err(type_error("string_type", messages_pt::STRING_TYPE, location));
        };
        let mut keys = Vec::new();
        for name in text.split(',') {
            let key = paging::one_of(Value::<V>::String(name.trim().to_owned()), location, &AGRUPAMENTOS)?;
            if keys.contains(&key) || keys.len() == Self::MAX {
                return Err(type_error("value_error", messages_pt::GROUPINGS, location));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }
}
