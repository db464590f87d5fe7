//! The queries that read time entries. Absent conditions are omitted, so SQLite plans each query for its conditions.

use domain::{Agrupamento, ApontamentoFiltro, ApontamentoQuery, EscritaFiltro, UsuarioRef, date_text};
use sea_orm::{DbBackend, Statement, Value};

use crate::apontamento_row::{columns, joins};
use crate::value::{id_text, microseconds};

/// Returns the query of one page.
pub(crate) fn page(query: &ApontamentoQuery, writes_back: bool) -> Statement {
    let ApontamentoQuery { filtro, ordem: (), apos, ate, skip, limit } = query;
    let mut values = Values::default();
    let mut conditions = values.conditions(filtro, writes_back);
    for (cursor, operator) in [(apos, "<"), (ate, ">=")] {
        let Some(cursor) = cursor else { continue };
        let (data, em) = (values.bind(date_text(cursor.key.data)), values.bind(microseconds(cursor.key.criado_em)));
        let id = values.bind(id_text(cursor.id));
        conditions.push(format!("(e.data, e.criado_em, e.id) {operator} ({data}, {em}, {id})"));
    }
    let (limit, skip, matches) = (values.bind(limit.get()), values.bind(skip.get()), conditions.join(" AND "));
    let (columns, joins) = (columns(writes_back), joins(writes_back));
    values.statement(format!(
        "SELECT {columns} FROM apontamentos e {joins} WHERE {matches}
         ORDER BY e.data DESC, e.criado_em DESC, e.id DESC LIMIT {limit} OFFSET {skip}"
    ))
}

/// Returns the query of the number of matches and the sum of their minutes.
pub(crate) fn totals(filtro: &ApontamentoFiltro, writes_back: bool) -> Statement {
    let mut values = Values::default();
    let matches = values.conditions(filtro, writes_back).join(" AND ");
    values.statement(format!(
        "SELECT count(*) AS apontamentos, COALESCE(sum(minutos), 0) AS minutos FROM apontamentos e WHERE {matches}"
    ))
}

/// Returns the query of the sums of the matches by `agrupar`, at most `max` lines.
pub(crate) fn report(filtro: &ApontamentoFiltro, agrupar: &[Agrupamento], max: i64, writes_back: bool) -> Statement {
    let mut values = Values::default();
    let (matches, max) = (values.conditions(filtro, writes_back).join(" AND "), values.bind(max));
    let keys = [
        (Agrupamento::Projeto, "id_projeto", "id_projeto"),
        (Agrupamento::Atividade, "id_atividade", "id_atividade"),
        (Agrupamento::Usuario, "usuario_id", "usuario_id"),
        (Agrupamento::WorkItem, "work_item_id", "work_item_id"),
        (Agrupamento::Dia, "data", "dia"),
        // `weekday 1` moves to the next Monday, or stays on one.
        (Agrupamento::Semana, "date(data, '-6 days', 'weekday 1')", "semana"),
        (Agrupamento::Mes, "date(data, 'start of month')", "mes"),
    ];
    let is_grouped = |key: &Agrupamento| agrupar.contains(key);
    let columns =
        keys.iter().map(
            |(key, expression, name)| {
                if is_grouped(key) { format!("{expression} AS {name}") } else { format!("NULL AS {name}") }
            },
        );
    let columns = columns.collect::<Vec<_>>().join(", ");
    let groups = keys.iter().filter(|(key, ..)| is_grouped(key)).map(|(_, expression, _)| *expression);
    let groups = groups.collect::<Vec<_>>().join(", ");
    values.statement(format!(
        "SELECT g.*, p.nome AS nome_projeto, a.nome AS nome_atividade, w.titulo
         FROM (
             SELECT {columns}, max(usuario_nome) AS usuario_nome, max(organizacao) AS organizacao, sum(minutos) AS minutos,
                    count(*) AS apontamentos, min(data) AS primeira_data, max(data) AS ultima_data
             FROM apontamentos e WHERE {matches} GROUP BY {groups} LIMIT {max}
         ) g
         LEFT JOIN projetos p ON p.id = g.id_projeto
         LEFT JOIN atividades a ON a.id = g.id_atividade
         LEFT JOIN work_items w ON w.organizacao = g.organizacao AND w.id = g.work_item_id"
    ))
}

/// The bound values, in the order of their placeholders.
#[derive(Default)]
struct Values(Vec<Value>);

impl Values {
    /// Binds `value` and returns its placeholder.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("?{}", self.0.len())
    }

    fn statement(self, sql: String) -> Statement {
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, self.0)
    }

    /// Returns the conditions of the filter.
    fn conditions(&mut self, filtro: &ApontamentoFiltro, writes_back: bool) -> Vec<String> {
        let ApontamentoFiltro { de, ate, usuario, projeto, atividade, work_item, escrita } = filtro;
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(usuario.as_ref().map(|usuario| match usuario {
            UsuarioRef::Id(id) => format!("e.usuario_id = {}", self.bind(id.as_str())),
            UsuarioRef::Email(email) => format!("lower(e.usuario_email) = lower({})", self.bind(email.as_str())),
        }));
        conditions.extend(projeto.map(|projeto| format!("e.id_projeto = {}", self.bind(id_text(projeto.0)))));
        conditions.extend(atividade.map(|atividade| format!("e.id_atividade = {}", self.bind(id_text(atividade.0)))));
        conditions.extend(work_item.map(|id| format!("e.work_item_id = {}", self.bind(id.get()))));
        conditions.extend(de.map(|de| format!("e.data >= {}", self.bind(date_text(de)))));
        conditions.extend(ate.map(|ate| format!("e.data <= {}", self.bind(date_text(ate)))));
        conditions.extend(escrita.map(|escrita| in_state(escrita, writes_back)));
        conditions
    }
}

/// Returns the condition that the work item of an entry is in a state of the write-back.
fn in_state(escrita: EscritaFiltro, writes_back: bool) -> String {
    let state = match escrita {
        EscritaFiltro::Desligada => "true",
        EscritaFiltro::Pendente => "f.proxima_em IS NOT NULL",
        EscritaFiltro::Ok => "f.proxima_em IS NULL AND f.motivo IS NULL",
        EscritaFiltro::Erro => "f.motivo IS NOT NULL",
    };
    let not = if escrita == EscritaFiltro::Desligada { "NOT" } else { "" };
    let in_state = format!(
        "{not} EXISTS (SELECT 1 FROM escritas f WHERE {writes_back} AND f.organizacao = e.organizacao
                       AND f.work_item_id = e.work_item_id AND {state})"
    );
    if !writes_back {
        return in_state;
    }
    match escrita {
        EscritaFiltro::Pendente => format!("(NOT e.verificado OR {in_state})"),
        EscritaFiltro::Desligada | EscritaFiltro::Ok | EscritaFiltro::Erro => format!("e.verificado AND {in_state}"),
    }
}
