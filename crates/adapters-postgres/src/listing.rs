//! The statements that list atividades. What is not asked for is not in them, so that each is planned for what it is.

use domain::{Atividade, AtividadeQuery, Campo, Chave, Cursor, Filtro, Ordem, Skip};
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::connection::Value;
use crate::ranges::RANGE;

/// What a row has of an atividade itself.
const COLUMNS: &str = "id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em";

const COLUMNS_OF_PAGE: &str =
    "a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em";

/// A page that ends before one of these is taken out of so many rows. PostgreSQL does not know what a bound number will
/// be and plans for a tenth of the table, which is why it would plan each page anew; of a number in the text it knows.
/// There are three of them and not one for each limit, since every text is a statement that each connection prepares.
const BOUNDS: [i64; 3] = [100, 1_000, 10_000];

/// A statement and what is bound to it.
pub(crate) struct Statement {
    pub(crate) sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
    /// Whether its time grows with the number of rows.
    pub(crate) is_slow: bool,
}

impl Statement {
    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.values.iter().map(|value| &**value as Value<'_>).collect()
    }
}

/// One page, and a row that has nothing but the number of all matches.
pub(crate) fn page_and_total(query: AtividadeQuery) -> Statement {
    let mut values = Values::default();
    let is_slow = is_slow(&query);
    let matches = values.matches(&query.filtro);
    let count = values.count(&query.filtro, &matches);
    let (page, order) = values.page(query, &matches);
    let sql = format!(
        "SELECT {COLUMNS}, nome_projeto, total FROM (
             SELECT NULL AS id, NULL AS nome, NULL AS descricao, NULL AS ativo, NULL AS id_projeto, NULL AS criado_por,
                    NULL AS criado_em, NULL AS atualizado_em, NULL AS nome_projeto, total, NULL AS ordem
             FROM ({count}) counted
             UNION ALL
             SELECT {COLUMNS_OF_PAGE}, p.nome, NULL, a.ordem
             FROM ({page}) a JOIN projetos p ON p.id = a.id_projeto
         ) page_and_total {order}"
    );
    Statement { sql, values: values.0, is_slow }
}

/// One page.
pub(crate) fn page(query: AtividadeQuery) -> Statement {
    let mut values = Values::default();
    let is_slow = is_slow(&query);
    let matches = values.matches(&query.filtro);
    let (page, order) = values.page(query, &matches);
    let sql = format!(
        "SELECT {COLUMNS_OF_PAGE}, p.nome AS nome_projeto
         FROM ({page}) a JOIN projetos p ON p.id = a.id_projeto {order}"
    );
    Statement { sql, values: values.0, is_slow }
}

/// The atividades of a page in their order.
///
/// They are found in it, and mostly come in it as well, but SQL promises none to what is joined. To have PostgreSQL sort
/// them again would take it as long as finding them; here it takes a glance at each. Only names it has put in order
/// itself, since it alone knows how it folds them.
pub(crate) fn in_order(mut items: Vec<Atividade>, Ordem { campo, decrescente }: Ordem) -> Vec<Atividade> {
    let em: fn(&Atividade) -> OffsetDateTime = match campo {
        Campo::CriadoEm => |atividade| atividade.criado_em,
        Campo::AtualizadoEm => |atividade| atividade.atualizado_em,
        Campo::Nome => return items,
    };
    items.sort_by(|a, b| {
        let ascending = (em(a), a.id).cmp(&(em(b), b.id));
        if decrescente { ascending.reverse() } else { ascending }
    });
    items
}

/// A text is looked for in every row, and what is passed over has to be read, unless there are ranges to pass over.
fn is_slow(AtividadeQuery { filtro, ordem, skip, .. }: &AtividadeQuery) -> bool {
    filtro.texto.is_some() || (RANGE <= skip.get() && ordem.campo != Campo::CriadoEm)
}

/// The values that are bound, in the order of their numbers.
#[derive(Default)]
struct Values(Vec<Box<dyn ToSql + Send + Sync>>);

impl Values {
    /// The place of `value` in the statement.
    fn bind(&mut self, value: impl ToSql + Send + Sync + 'static) -> String {
        self.0.push(Box::new(value));
        format!("${}", self.0.len())
    }

    /// The condition that the matches fulfil.
    fn matches(&mut self, filtro: &Filtro) -> String {
        let Filtro { ativo, projeto, texto } = filtro;
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(ativo.map(|ativo| format!("ativo = {}", self.bind(ativo))));
        conditions.extend(projeto.map(|projeto| format!("id_projeto = {}", self.bind(projeto.0))));
        if let Some(texto) = texto {
            conditions
                .push(format!("position(sem_acentos({}) IN nome_busca) > 0", self.bind(texto.as_str().to_owned())));
        }
        conditions.join(" AND ")
    }

    /// How many fulfil `matches`: as it is kept, but for a text, which nobody can count beforehand.
    fn count(&mut self, filtro: &Filtro, matches: &str) -> String {
        if filtro.texto.is_some() {
            return format!("SELECT count(*) AS total FROM atividades WHERE {matches}");
        }
        let counted = self.counted(filtro);
        format!("SELECT COALESCE(sum(total), 0)::bigint AS total FROM atividades_contagem WHERE {counted}")
    }

    /// The condition that the numbers fulfil that are kept of the matches.
    fn counted(&mut self, Filtro { ativo, projeto, .. }: &Filtro) -> String {
        let projeto = projeto.map_or_else(|| "IS NULL".to_owned(), |projeto| format!("= {}", self.bind(projeto.0)));
        let ativo = ativo.map_or_else(String::new, |ativo| format!("AND ativo = {}", self.bind(ativo)));
        format!("id_projeto {projeto} {ativo}")
    }

    /// The page among those that fulfil `matches`, and how what is made of it is to be put in order, unless that is left
    /// to [`in_order`].
    fn page(&mut self, query: AtividadeQuery, matches: &str) -> (String, String) {
        let AtividadeQuery { filtro, ordem: Ordem { campo, decrescente }, apos, skip, limit } = query;
        let direction = if decrescente { "DESC" } else { "ASC" };
        let last = skip.get().saturating_add(limit.get());
        let bound = BOUNDS.into_iter().find(|bound| last <= *bound);
        let column = match campo {
            Campo::CriadoEm => "criado_em",
            Campo::AtualizadoEm => "atualizado_em",
            Campo::Nome => "nome_busca",
        };
        let is_deep = RANGE <= skip.get() && campo == Campo::CriadoEm && apos.is_none() && filtro.texto.is_none();
        let Start { with, condition, offset } =
            if is_deep { self.deep(&filtro, decrescente, skip) } else { self.start(column, decrescente, apos, skip) };
        let limit = self.bind(limit.get());
        let bound = bound.map_or_else(String::new, |bound| format!("LIMIT {bound}"));
        let page = format!(
            "{with} SELECT * FROM (
                 SELECT {COLUMNS}, {column} AS ordem FROM atividades WHERE {matches} AND {condition}
                 ORDER BY {column} {direction}, id {direction} {bound}
             ) ordenadas LIMIT {limit} OFFSET {offset}"
        );
        let order = match campo {
            Campo::CriadoEm | Campo::AtualizadoEm => String::new(),
            Campo::Nome => format!("ORDER BY ordem {direction}, id {direction}"),
        };
        (page, order)
    }

    /// Where a page begins as it was asked for.
    fn start(&mut self, column: &str, decrescente: bool, apos: Option<Cursor>, skip: Skip) -> Start {
        let after = if decrescente { "<" } else { ">" };
        let condition = apos.map_or_else(
            || "true".to_owned(),
            |Cursor { chave, id }| {
                let chave = match chave {
                    Chave::CriadoEm(em) | Chave::AtualizadoEm(em) => self.bind(em),
                    Chave::Nome(nome) => format!("sem_acentos({})", self.bind(nome)),
                };
                format!("({column}, id) {after} ({chave}, {})", self.bind(id.0))
            },
        );
        Start { with: String::new(), condition, offset: self.bind(skip.get()) }
    }

    /// Where a page begins that passes over many in the order of creation: in the range in which its first row is, or
    /// as it was asked for when that is newer than all ranges. `ate` is how many matches there are from the oldest one
    /// to the end of a range.
    fn deep(&mut self, filtro: &Filtro, decrescente: bool, skip: Skip) -> Start {
        let (counted, count) = (self.counted(filtro), self.count(filtro, "true"));
        let skip = self.bind(skip.get());
        let (chosen, offset, within, everything) = if decrescente {
            let rest = format!("ate - (total - {skip})");
            (format!("{rest} >= 0 ORDER BY ate"), rest, "<=", ("infinity", Uuid::max()))
        } else {
            (format!("ate <= {skip} ORDER BY ate DESC"), format!("{skip} - ate"), ">", ("-infinity", Uuid::nil()))
        };
        let (em, id) = everything;
        Start {
            with: format!(
                "WITH faixas AS (
                     SELECT f.criado_em, f.id, (sum(sum(total)) OVER (ORDER BY f.criado_em, f.id))::bigint AS ate
                     FROM atividades_faixas f JOIN atividades_faixas_contagem USING (faixa)
                     WHERE {counted} GROUP BY f.faixa
                 ), inicio AS (
                     SELECT criado_em, faixas.id, {offset} AS resto FROM faixas, ({count}) counted
                     WHERE {chosen} LIMIT 1
                 )"
            ),
            condition: format!(
                "(criado_em, id) {within} (COALESCE((SELECT criado_em FROM inicio), '{em}'),
                                           COALESCE((SELECT id FROM inicio), '{id}'))"
            ),
            offset: format!("COALESCE((SELECT resto FROM inicio), {skip})"),
        }
    }
}

/// Where a page begins, as parts of its statement.
struct Start {
    with: String,
    condition: String,
    offset: String,
}

#[cfg(test)]
mod tests {
    use domain::{AtividadeId, ProjetoId, testing};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_page_is_put_in_order_however_it_comes() {
        let at = [datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-02 0:00 UTC)];
        // By creation: 1, 3, 2; by change: 2, 3, 1.
        let came =
            [(1, at[0], at[1]), (2, at[1], at[0]), (3, at[0], at[0])].map(|(id, criado_em, atualizado_em)| Atividade {
                id: AtividadeId(Uuid::from_u128(id)),
                nome: testing::nome_atividade("Revisão"),
                descricao: None,
                ativo: true,
                id_projeto: ProjetoId(Uuid::from_u128(9)),
                nome_projeto: testing::nome_projeto("Um"),
                criado_por: None,
                criado_em,
                atualizado_em,
            });
        let cases = [
            (Campo::CriadoEm, false, [1, 3, 2]),
            (Campo::CriadoEm, true, [2, 3, 1]),
            (Campo::AtualizadoEm, false, [2, 3, 1]),
            (Campo::AtualizadoEm, true, [1, 3, 2]),
            // As it comes.
            (Campo::Nome, true, [1, 2, 3]),
        ];
        for (campo, decrescente, expected) in cases {
            let ordered = in_order(came.to_vec(), Ordem { campo, decrescente });
            assert_eq!(ordered.iter().map(|atividade| atividade.id.0.as_u128()).collect::<Vec<_>>(), expected);
        }
    }
}
