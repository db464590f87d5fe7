//! The statements that list atividades. An absent parameter is not part of the text, so PostgreSQL plans each combination
//! for itself.

use domain::{AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeSortKey, Cursor, Ordem, PAGE_BYTES};
use sea_orm::{DbBackend, Statement, Value};

/// The columns of a page: those of [`crate::atividade_row`], and whether the row fits into a batch. PostgreSQL does not send
/// the description of a row that does not fit, whose length it knows without reading it, and its other projetos.
const COLUMNS: &str = "id, nome, CASE WHEN cabe THEN descricao END AS descricao, ativo, id_projeto, criado_por, criado_em, \
    atualizado_em, nome_projeto, CASE WHEN cabe THEN outros_projetos END AS outros_projetos, cabe";
/// The position of `cabe`.
pub(crate) const FITS: usize = 10;
/// The position of the number of all matches.
pub(crate) const TOTAL: usize = 12;
/// The bytes of all texts of a row.
const TEXT_BYTES: &str = "octet_length(a.nome) + octet_length(p.nome) + COALESCE(octet_length(a.descricao), 0) \
    + COALESCE(octet_length(a.criado_por), 0) + COALESCE(octet_length(o.projetos::text), 0)";

/// How a statement decides which rows fit into a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A row fits if its size is at most the budget divided by the rows of the page. Rows are sorted only by name. If one
    /// does not fit, the page must be read again.
    Quick,
    /// Rows fit until their sum exceeds the budget. They are sorted.
    Bounded,
}

/// The literal LIMITs from which a page is taken. PostgreSQL plans a statement with a bound LIMIT at each execution, and one
/// with a literal once. There are only three, because each connection prepares each text.
const BOUNDS: [i64; 3] = [100, 1_000, 10_000];

/// Whether a statement counts all matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// A row of its own, without an id, has their number. It comes from the snapshot of the page.
    Counted,
    Omitted,
}

/// Selects one page.
pub(crate) fn page(query: &AtividadeQuery, total: Total, form: Form) -> Statement {
    let mut values = Values::default();
    let alternatives = values.matches(&query.filtro);
    let page = values.page(query, &alternatives, form);
    let matches: Vec<_> =
        alternatives.iter().map(|matches| format!("SELECT FROM atividades WHERE {matches}")).collect();
    let matches = matches.join(" UNION ALL ");
    let sql = match total {
        Total::Omitted => format!("SELECT {COLUMNS}, ordem FROM ({page}) page"),
        Total::Counted => format!(
            "SELECT NULL::uuid AS id, NULL AS nome, NULL AS descricao, NULL AS ativo, NULL AS id_projeto,
                    NULL AS criado_por, NULL AS criado_em, NULL AS atualizado_em, NULL AS nome_projeto, NULL::jsonb AS outros_projetos,
                    NULL AS cabe, NULL AS ordem, count(*) AS total
             FROM ({matches}) matches
             UNION ALL
             SELECT {COLUMNS}, ordem, NULL FROM ({page}) page"
        ),
    };
    values.statement(in_order(&sql, query.ordem, form))
}

/// A join guarantees no order. Sorting takes PostgreSQL as long as finding the rows, so the service sorts by time. Only
/// PostgreSQL can sort by name, because it alone folds names.
fn in_order(sql: &str, Ordem { campo, decrescente }: Ordem<AtividadeCampo>, form: Form) -> String {
    if form == Form::Quick && campo != AtividadeCampo::Nome {
        return sql.to_owned();
    }
    let direction = direction(decrescente);
    format!("SELECT * FROM ({sql}) in_order ORDER BY ordem {direction}, id {direction}")
}

const fn direction(decrescente: bool) -> &'static str {
    if decrescente { "DESC" } else { "ASC" }
}

/// The bound values in the order of their placeholders.
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

    /// The conditions of the filter. A row that matches fulfils exactly one of them, for each of which there is an index: a
    /// projeto is the first of an atividade or another one of it, and never both.
    fn matches(&mut self, filtro: &AtividadeFiltro) -> Vec<String> {
        let AtividadeFiltro { ativo, projeto, texto } = filtro;
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(ativo.map(|ativo| format!("ativo = {}", self.bind(ativo))));
        if let Some(texto) = texto {
            conditions.push(format!("position(sem_acentos({}) IN nome_busca) > 0", self.bind(texto.as_str())));
        }
        let conditions = conditions.join(" AND ");
        let Some(projeto) = projeto else { return vec![conditions] };
        let projeto = self.bind(projeto.0);
        vec![
            format!("id_projeto = {projeto} AND {conditions}"),
            format!(
                "id IN (SELECT id_atividade FROM atividade_projetos WHERE id_projeto = {projeto}) AND {conditions}"
            ),
        ]
    }

    /// The rows of the page among those that fulfil one of `alternatives`.
    fn page(&mut self, query: &AtividadeQuery, alternatives: &[String], form: Form) -> String {
        let AtividadeQuery { ordem: Ordem { campo, decrescente }, apos, ate, skip, limit, .. } = query;
        let direction = direction(*decrescente);
        let column = match campo {
            AtividadeCampo::CriadoEm => "criado_em",
            AtividadeCampo::AtualizadoEm => "atualizado_em",
            AtividadeCampo::Nome => "nome_busca",
        };
        let (after, until) = if *decrescente { ("<", ">=") } else { (">", "<=") };
        let after = apos.as_ref().map_or_else(String::new, |cursor| self.compared_to(cursor, column, after));
        let until = ate.as_ref().map_or_else(String::new, |cursor| self.compared_to(cursor, column, until));
        let last = skip.get().saturating_add(limit.get());
        let bound = BOUNDS.into_iter().find(|bound| last <= *bound);
        let bound = bound.map_or_else(String::new, |bound| format!("LIMIT {bound}"));
        let fits = match form {
            Form::Quick => {
                let budget = i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX);
                format!("{TEXT_BYTES} <= {}", self.bind(budget / limit.get().max(1)))
            }
            Form::Bounded => {
                format!("sum({TEXT_BYTES}) OVER (ORDER BY a.ordem {direction}, a.id {direction}) <= {PAGE_BYTES}")
            }
        };
        let (limit, offset) = (self.bind(limit.get()), self.bind(skip.get()));
        // Each alternative is in order and bounded, so that PostgreSQL merges them and reads no more rows than the page has.
        let rows = |matches: &String| {
            format!(
                "(SELECT id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em, {column} AS ordem
                  FROM atividades WHERE {matches} {after} {until} ORDER BY {column} {direction}, id {direction} {bound})"
            )
        };
        let rows = alternatives.iter().map(rows).collect::<Vec<_>>().join(" UNION ALL ");
        // One aggregate for all rows of the page takes a quarter of the time of a subquery for each row.
        format!(
            "WITH linhas AS MATERIALIZED (
                 SELECT * FROM ({rows}) matches ORDER BY ordem {direction}, id {direction} LIMIT {limit} OFFSET {offset}
             ), outros AS MATERIALIZED (
                 SELECT l.id_atividade, jsonb_agg(jsonb_build_object('id', p.id, 'nome', p.nome) ORDER BY l.lugar) AS projetos
                 FROM atividade_projetos l JOIN projetos p ON p.id = l.id_projeto
                 WHERE l.id_atividade IN (SELECT id FROM linhas) GROUP BY l.id_atividade
             )
             SELECT a.*, p.nome AS nome_projeto, o.projetos AS outros_projetos, {fits} AS cabe
             FROM linhas a JOIN projetos p ON p.id = a.id_projeto LEFT JOIN outros o ON o.id_atividade = a.id"
        )
    }

    /// The condition that a row is on one side of a cursor.
    fn compared_to(&mut self, Cursor { key, id }: &Cursor<AtividadeSortKey>, column: &str, operator: &str) -> String {
        let key = match key {
            AtividadeSortKey::CriadoEm(em) | AtividadeSortKey::AtualizadoEm(em) => self.bind(*em),
            AtividadeSortKey::Nome(nome) => format!("sem_acentos({})", self.bind(nome.as_str())),
        };
        format!("AND ({column}, id) {operator} ({key}, {})", self.bind(*id))
    }
}
