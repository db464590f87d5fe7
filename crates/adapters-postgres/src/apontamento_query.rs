//! The statements that read time entries. Absent conditions are omitted, so that PostgreSQL plans each statement for its
//! conditions.

use domain::{Agrupamento, ApontamentoFiltro, ApontamentoQuery, ApontamentoSortKey, Cursor, EscritaFiltro, UsuarioRef};
use sea_orm::{DbBackend, Statement, Value};

/// The columns of [`ApontamentoRow`](crate::apontamento_row::ApontamentoRow). With `writes_back`, an entry that is not verified
/// is still to be written.
pub(crate) fn columns(writes_back: bool) -> String {
    format!(
        "e.id, e.work_item_id, w.titulo, w.tipo, e.id_projeto, p.nome AS nome_projeto, e.organizacao, e.data, e.minutos,
         e.id_atividade, a.nome AS nome_atividade, e.comentario, e.usuario_id, e.usuario_nome, e.usuario_email,
         CASE WHEN {writes_back} AND NOT e.verificado THEN 'pendente' WHEN s.work_item_id IS NULL THEN 'desligada'
              WHEN s.motivo IS NOT NULL THEN s.motivo WHEN s.proxima_em IS NOT NULL THEN 'pendente' ELSE 'ok'
         END AS escrita, e.criado_em, e.atualizado_em"
    )
}

/// What the columns are read from, besides the entries `e`. Without `writes_back`, no entry has a state of the write-back.
pub(crate) fn joins(writes_back: bool) -> String {
    format!(
        "JOIN projetos p ON p.id = e.id_projeto JOIN atividades a ON a.id = e.id_atividade
         LEFT JOIN work_items w ON w.organizacao = e.organizacao AND w.id = e.work_item_id
         LEFT JOIN escritas s ON {writes_back} AND s.organizacao = e.organizacao AND s.work_item_id = e.work_item_id"
    )
}

/// PostgreSQL does not know the value of a bound LIMIT and plans each page anew. It knows a number in the text; few of them
/// make few statements.
const BOUNDS: [i64; 3] = [100, 1_000, 10_000];

/// One page in the order of the list.
pub(crate) fn page(query: &ApontamentoQuery, writes_back: bool) -> Statement {
    let ApontamentoQuery { filtro, ordem: (), apos, ate, skip, limit } = query;
    let mut values = Values::default();
    let mut conditions = values.conditions(filtro, writes_back);
    conditions.extend(apos.as_ref().map(|cursor| values.beside(cursor, "<")));
    conditions.extend(ate.as_ref().map(|cursor| values.beside(cursor, ">=")));
    let last = skip.get().saturating_add(limit.get());
    let bound = BOUNDS.into_iter().find(|bound| last <= *bound);
    let bound = bound.map_or_else(String::new, |bound| format!("LIMIT {bound}"));
    let (limit, skip, matches) = (values.bind(limit.get()), values.bind(skip.get()), conditions.join(" AND "));
    let (columns, joins) = (columns(writes_back), joins(writes_back));
    values.statement(format!(
        "SELECT {columns}
         FROM (SELECT * FROM (
             SELECT * FROM apontamentos WHERE {matches} ORDER BY data DESC, criado_em DESC, id DESC {bound}
         ) ordered LIMIT {limit} OFFSET {skip}) e {joins}
         ORDER BY e.data DESC, e.criado_em DESC, e.id DESC"
    ))
}

/// The number of matches and the sum of their minutes.
pub(crate) fn totals(filtro: &ApontamentoFiltro, writes_back: bool) -> Statement {
    let mut values = Values::default();
    let matches = values.conditions(filtro, writes_back).join(" AND ");
    values.statement(format!(
        "SELECT count(*) AS apontamentos, COALESCE(sum(minutos), 0)::bigint AS minutos FROM apontamentos WHERE {matches}"
    ))
}

/// The sums of the matches by `agrupar`, at most `max` lines.
pub(crate) fn report(filtro: &ApontamentoFiltro, agrupar: &[Agrupamento], max: i64, writes_back: bool) -> Statement {
    let mut values = Values::default();
    let (matches, max) = (values.conditions(filtro, writes_back).join(" AND "), values.bind(max));
    let keys = [
        (Agrupamento::Projeto, "id_projeto", "id_projeto", "uuid"),
        (Agrupamento::Atividade, "id_atividade", "id_atividade", "uuid"),
        (Agrupamento::Usuario, "usuario_id", "usuario_id", "text"),
        (Agrupamento::WorkItem, "work_item_id", "work_item_id", "integer"),
        (Agrupamento::Dia, "data", "dia", "date"),
        (Agrupamento::Semana, "data - (extract(isodow FROM data)::integer - 1)", "semana", "date"),
        (Agrupamento::Mes, "data - (extract(day FROM data)::integer - 1)", "mes", "date"),
    ];
    let is_grouped = |key: &Agrupamento| agrupar.contains(key);
    let columns = keys.iter().map(|(key, expression, name, kind)| {
        if is_grouped(key) { format!("{expression} AS {name}") } else { format!("NULL::{kind} AS {name}") }
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let groups = keys.iter().enumerate().filter(|(_, (key, ..))| is_grouped(key));
    // By position in the list of columns.
    let groups = groups.map(|(index, _)| (index + 1).to_string()).collect::<Vec<_>>().join(", ");
    values.statement(format!(
        "SELECT g.*, p.nome AS nome_projeto, a.nome AS nome_atividade, w.titulo
         FROM (
             SELECT {columns}, max(usuario_nome) AS usuario_nome, max(organizacao) AS organizacao,
                    sum(minutos)::bigint AS minutos, count(*) AS apontamentos, min(data) AS primeira_data,
                    max(data) AS ultima_data
             FROM apontamentos WHERE {matches} GROUP BY {groups} LIMIT {max}
         ) g
         LEFT JOIN projetos p ON p.id = g.id_projeto
         LEFT JOIN atividades a ON a.id = g.id_atividade
         LEFT JOIN work_items w ON w.organizacao = g.organizacao AND w.id = g.work_item_id"
    ))
}

/// The bound values, in the order of their numbers.
#[derive(Default)]
struct Values(Vec<Value>);

impl Values {
    /// Binds `value` and returns its placeholder.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    fn statement(self, sql: String) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, sql, self.0)
    }

    /// The conditions that the matches fulfil.
    fn conditions(&mut self, filtro: &ApontamentoFiltro, writes_back: bool) -> Vec<String> {
        let ApontamentoFiltro { de, ate, usuario, projeto, atividade, work_item, escrita } = filtro;
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(usuario.as_ref().map(|usuario| match usuario {
            UsuarioRef::Id(id) => format!("usuario_id = {}", self.bind(id.as_str())),
            UsuarioRef::Email(email) => format!("lower(usuario_email) = lower({})", self.bind(email.as_str())),
        }));
        conditions.extend(projeto.map(|projeto| format!("id_projeto = {}", self.bind(projeto.0))));
        conditions.extend(atividade.map(|atividade| format!("id_atividade = {}", self.bind(atividade.0))));
        conditions.extend(work_item.map(|id| format!("work_item_id = {}", self.bind(id.get()))));
        conditions.extend(de.map(|de| format!("{} <= data", self.bind(de))));
        conditions.extend(ate.map(|ate| format!("data <= {}", self.bind(ate))));
        conditions.extend(escrita.map(|escrita| in_state(escrita, writes_back)));
        conditions
    }

    /// The condition that rows are on one side of a cursor.
    fn beside(&mut self, Cursor { key, id }: &Cursor<ApontamentoSortKey>, operator: &str) -> String {
        let (data, criado_em, id) = (self.bind(key.data), self.bind(key.criado_em), self.bind(*id));
        format!("(data, criado_em, id) {operator} ({data}, {criado_em}, {id})")
    }
}

/// The condition that the work item of an entry is in a state of the write-back.
fn in_state(escrita: EscritaFiltro, writes_back: bool) -> String {
    let state = match escrita {
        EscritaFiltro::Desligada => "true",
        EscritaFiltro::Pendente => "s.proxima_em IS NOT NULL",
        EscritaFiltro::Ok => "s.proxima_em IS NULL AND s.motivo IS NULL",
        EscritaFiltro::Erro => "s.motivo IS NOT NULL",
    };
    let not = if escrita == EscritaFiltro::Desligada { "NOT" } else { "" };
    let in_state = format!(
        "{not} EXISTS (SELECT FROM escritas s WHERE {writes_back} AND s.organizacao = apontamentos.organizacao
                       AND s.work_item_id = apontamentos.work_item_id AND {state})"
    );
    if !writes_back {
        return in_state;
    }
    match escrita {
        EscritaFiltro::Pendente => format!("(NOT verificado OR {in_state})"),
        EscritaFiltro::Desligada | EscritaFiltro::Ok | EscritaFiltro::Erro => format!("verificado AND {in_state}"),
    }
}
