//! The queries that list atividades. Absent conditions are omitted, so SQLite plans each query for its conditions.

use domain::{AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeSortKey, Ordem, search_key};
use sea_orm::{DbBackend, Statement, Value};

use crate::atividade_row::COLUMNS;
use crate::value::{id_text, microseconds};

/// Returns the query of one page, with the total in each row. The page is joined to the count, so an empty page has one
/// row with the total.
pub(crate) fn page_and_total(query: AtividadeQuery) -> Statement {
    let mut values = Values::default();
    let matches = values.matches(&query.filtro);
    let (page, order) = values.page(query, &matches);
    values.statement(format!(
        "SELECT counted.total, {COLUMNS}
         FROM (SELECT count(*) AS total FROM atividades WHERE {matches}) counted
         LEFT JOIN ({page}) a ON true
         LEFT JOIN projetos p ON p.id = a.id_projeto
         ORDER BY {order}"
    ))
}

/// Returns the query of one page.
pub(crate) fn page(query: AtividadeQuery) -> Statement {
    let mut values = Values::default();
    let matches = values.matches(&query.filtro);
    let (page, order) = values.page(query, &matches);
    values
        .statement(format!("SELECT {COLUMNS} FROM ({page}) a JOIN projetos p ON p.id = a.id_projeto ORDER BY {order}"))
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

    /// Returns the condition of the filter.
    fn matches(&mut self, filtro: &AtividadeFiltro) -> String {
        let AtividadeFiltro { ativo, projeto, texto } = filtro;
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(ativo.map(|ativo| format!("ativo = {}", self.bind(ativo))));
        conditions.extend(projeto.map(|projeto| {
            let projeto = self.bind(id_text(projeto.0));
            format!(
                "id IN (SELECT id FROM atividades WHERE id_projeto = {projeto}
                        UNION ALL SELECT id_atividade FROM atividade_projetos WHERE id_projeto = {projeto})"
            )
        }));
        if let Some(texto) = texto {
            conditions.push(format!("instr(nome_busca, {}) > 0", self.bind(search_key(texto.as_str()))));
        }
        conditions.join(" AND ")
    }

    /// Returns the query of the page among `matches`, and the order of the joined rows.
    fn page(&mut self, query: AtividadeQuery, matches: &str) -> (String, String) {
        let AtividadeQuery { ordem: Ordem { campo, decrescente }, apos, ate, skip, limit, .. } = query;
        let (after, until, direction) = if decrescente { ("<", ">=", "DESC") } else { (">", "<=", "ASC") };
        let column = match campo {
            AtividadeCampo::CriadoEm => "criado_em",
            AtividadeCampo::AtualizadoEm => "atualizado_em",
            AtividadeCampo::Nome => "nome_busca",
        };
        let bounds = [(apos, after), (ate, until)].into_iter().filter_map(|(cursor, is)| cursor.zip(Some(is)));
        let between = bounds.map(|(cursor, is)| {
            let key = match cursor.key {
                AtividadeSortKey::CriadoEm(em) | AtividadeSortKey::AtualizadoEm(em) => self.bind(microseconds(em)),
                AtividadeSortKey::Nome(nome) => self.bind(search_key(&nome)),
            };
            format!("AND ({column}, id) {is} ({key}, {})", self.bind(id_text(cursor.id)))
        });
        let between = between.collect::<Vec<_>>().join(" ");
        let (limit, skip) = (self.bind(limit.get()), self.bind(skip.get()));
        let order = format!("{column} {direction}, id {direction}");
        let page = format!(
            "SELECT *, {column} AS ordem FROM atividades WHERE {matches} {between}
             ORDER BY {order} LIMIT {limit} OFFSET {skip}"
        );
        (page, format!("a.ordem {direction}, a.id {direction}"))
    }

    fn statement(self, sql: String) -> Statement {
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, self.0)
    }
}
