//! Long lists, read batch by batch: each is fetched when it is asked for and fits into [`PAGE_BYTES`](crate::PAGE_BYTES).

use std::sync::Arc;

use crate::{
    Atividade, AtividadeQuery, AtividadeRepository, Batch, Cursor, Descricao, Error, Limit, PAGE_BYTES, Projeto,
    ProjetoCursor, ProjetoQuery, ProjetoRepository, Skip,
};

/// How many rows follow a batch that was cut short: so many of the largest ones fit into the next one.
const FEW: usize = PAGE_BYTES / Descricao::MAX_BYTES;
/// How many times as many rows follow a batch that was not.
const GROWTH: i64 = 4;

/// A list that is read batch by batch.
pub trait Batches {
    /// What is listed.
    type Row;

    /// Fetches the next batch, or returns nothing after the last one.
    ///
    /// # Errors
    /// Those of the repository; the list has ended then.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Self::Row>>, Error>>;

    /// Whether another batch may follow.
    fn has_more(&self) -> bool;
}

/// No rows at all.
impl<T> Batches for std::iter::Empty<T> {
    type Row = T;

    async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        Ok(None)
    }

    fn has_more(&self) -> bool {
        false
    }
}

/// Atividades in the order of a query.
pub struct AtividadeBatches {
    repository: Arc<dyn AtividadeRepository>,
    /// What comes next, if anything does.
    next: Option<AtividadeQuery>,
    /// Whether the list goes on after the page of the query.
    is_whole_list: bool,
}

impl AtividadeBatches {
    pub(crate) fn new(repository: Arc<dyn AtividadeRepository>, query: AtividadeQuery, is_whole_list: bool) -> Self {
        Self { repository, next: Some(query), is_whole_list }
    }

    /// The rest of the page of `query`, of which `first` is the last row that was returned and `last` the last one.
    pub(crate) fn rest(
        repository: Arc<dyn AtividadeRepository>,
        query: AtividadeQuery,
        first: &Atividade,
        last: Cursor,
    ) -> Self {
        let query = AtividadeQuery { ate: Some(last), ..after(query, first, few()) };
        Self { repository, next: Some(query), is_whole_list: false }
    }
}

impl Batches for AtividadeBatches {
    type Row = Atividade;

    async fn next(&mut self) -> Result<Option<Vec<Atividade>>, Error> {
        let Some(mut query) = self.next.take() else { return Ok(None) };
        let Batch { items, last } = self.repository.rows(query.clone()).await?;
        let limit = next_limit(items.len(), query.limit, last.is_some());
        if let (Some(limit), Some(row)) = (limit, items.last())
            && (last.is_some() || query.ate.is_some() || self.is_whole_list)
        {
            if !self.is_whole_list {
                query.ate = query.ate.or(last);
            }
            self.next = Some(after(query, row, limit));
        }
        Ok((!items.is_empty()).then_some(items))
    }

    fn has_more(&self) -> bool {
        self.next.is_some()
    }
}

/// All projetos in the order of their names.
pub struct ProjetoBatches {
    repository: Arc<dyn ProjetoRepository>,
    /// What comes next, if anything does.
    next: Option<ProjetoQuery>,
}

impl ProjetoBatches {
    pub(crate) fn new(repository: Arc<dyn ProjetoRepository>) -> Self {
        Self { repository, next: Some(ProjetoQuery::default()) }
    }
}

impl Batches for ProjetoBatches {
    type Row = Projeto;

    async fn next(&mut self) -> Result<Option<Vec<Projeto>>, Error> {
        let Some(query) = self.next.take() else { return Ok(None) };
        let limit = query.limit;
        let Batch { items, last } = self.repository.list(query).await?;
        let limit = next_limit(items.len(), limit, last.is_some());
        self.next =
            limit.zip(items.last()).map(|(limit, row)| ProjetoQuery { apos: Some(ProjetoCursor::of(row)), limit });
        Ok((!items.is_empty()).then_some(items))
    }

    fn has_more(&self) -> bool {
        self.next.is_some()
    }
}

/// How many rows to ask for after so many, of at most `limit`; nothing when there can be no more.
fn next_limit(rows: usize, limit: Limit, is_cut: bool) -> Option<Limit> {
    if is_cut {
        return Some(few());
    }
    let is_full = usize::try_from(limit.get()) == Ok(rows);
    is_full.then(|| Limit::parse(limit.get().saturating_mul(GROWTH).min(Limit::MAX)).unwrap_or(limit))
}

fn few() -> Limit {
    i64::try_from(FEW).ok().and_then(|few| Limit::parse(few).ok()).unwrap_or(Limit::ONE)
}

/// The matches of `query` after `row`.
fn after(query: AtividadeQuery, row: &Atividade, limit: Limit) -> AtividadeQuery {
    let apos = Some(Cursor::of(row, query.ordem.campo));
    AtividadeQuery { apos, skip: Skip::default(), limit, ..query }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::testing::{atividade, projeto};
    use crate::{Campo, MockAtividadeRepository, MockProjetoRepository};

    type Answers = Vec<(Vec<&'static str>, Option<&'static str>)>;

    /// Reads a list whose repository returns `answers` one after the other. Returns what was read, and of each query its
    /// limit and the names in its cursors.
    async fn read(is_whole_list: bool, limit: i64, answers: Answers) -> (Vec<String>, Vec<(i64, String, String)>) {
        let queries = Arc::new(Mutex::new(Vec::new()));
        let mut repository = MockAtividadeRepository::new();
        let (asked, answers) = (Arc::clone(&queries), Mutex::new(answers.into_iter()));
        repository.expect_rows().returning(move |query| {
            let nome = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.to_text().split_off(33)).unwrap_or_default();
            asked.lock().unwrap().push((query.limit.get(), nome(query.apos), nome(query.ate)));
            let (items, last) = answers.lock().unwrap().next().expect("no further query");
            let last = last.map(|nome| Cursor::of(&atividade(nome), Campo::Nome));
            Ok(Batch { items: items.into_iter().map(atividade).collect(), last })
        });
        let ordem = crate::Ordem { campo: Campo::Nome, decrescente: false };
        let query = AtividadeQuery { ordem, limit: Limit::parse(limit).unwrap(), ..AtividadeQuery::default() };
        let mut batches = AtividadeBatches::new(Arc::new(repository), query, is_whole_list);
        let mut seen = Vec::new();
        while let Some(rows) = batches.next().await.unwrap() {
            seen.extend(rows.into_iter().map(|row| row.nome.into_string()));
        }
        assert!(!batches.has_more());
        let queries = queries.lock().unwrap().clone();
        (seen, queries)
    }

    fn query(limit: i64, apos: &str, ate: &str) -> (i64, String, String) {
        (limit, apos.to_owned(), ate.to_owned())
    }

    #[tokio::test]
    async fn a_page_ends_at_its_last_row() {
        let (rows, queries) = read(false, 2, vec![(vec!["A", "B"], None)]).await;
        assert_eq!((rows.concat(), queries), ("AB".to_owned(), vec![query(2, "", "")]));

        let answers = vec![(vec!["A"], Some("E")), (vec!["B", "C"], Some("E")), (vec!["D", "E"], None)];
        let (rows, queries) = read(false, 5, answers).await;
        assert_eq!(rows.concat(), "ABCDE");
        assert_eq!(queries, [query(5, "", ""), query(8, "A", "E"), query(8, "C", "E")]);
    }

    #[tokio::test]
    async fn a_whole_list_goes_on_after_a_full_page() {
        let answers = vec![(vec!["A", "B"], None), (vec!["C"], Some("Z")), (vec!["D"; 8], None), (vec!["E"], None)];
        let (rows, queries) = read(true, 2, answers).await;
        assert_eq!(rows.concat(), "ABCDDDDDDDDE");
        assert_eq!(queries, [query(2, "", ""), query(8, "B", ""), query(8, "C", ""), query(32, "D", "")]);

        // There is nothing after a full last page.
        let (rows, queries) = read(true, 1000, vec![(vec!["A"; 1000], None), (vec![], None)]).await;
        assert_eq!((rows.len(), queries.len()), (1000, 2));
    }

    #[tokio::test]
    async fn all_projetos_are_read_batch_by_batch() {
        let mut repository = MockProjetoRepository::new();
        let mut answers = vec![(vec!["A"], true), (vec!["B"; 8], false), (vec!["C"], false)].into_iter();
        let mut expected = vec![(1000, None), (8, Some("A")), (32, Some("B"))].into_iter();
        repository.expect_list().times(3).returning(move |query| {
            let (limit, apos) = expected.next().unwrap();
            let asked = query.apos.map(|cursor| cursor.nome.into_string());
            assert_eq!((query.limit.get(), asked.as_deref()), (limit, apos));
            let (items, is_cut) = answers.next().unwrap();
            let last = is_cut.then(|| ProjetoCursor::of(&projeto("Z")));
            Ok(Batch { items: items.into_iter().map(projeto).collect(), last })
        });
        let mut batches = ProjetoBatches::new(Arc::new(repository));
        let mut seen = Vec::new();
        while let Some(rows) = batches.next().await.unwrap() {
            seen.extend(rows.into_iter().map(|row| row.nome.into_string()));
        }
        assert_eq!(seen.concat(), "ABBBBBBBBC");
    }
}
