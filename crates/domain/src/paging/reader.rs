//! Long lists, read batch by batch. Each batch is fetched on request and fits into [`PAGE_BYTES`](crate::PAGE_BYTES).

use std::future::Future;
use std::pin::Pin;

use super::{Batch, Cursor, Limit, Listable, PAGE_BYTES, Query};
use crate::{Descricao, Error};

/// The number of items requested after a batch that was cut: so many of the largest items fit into the next one.
const AFTER_CUT: usize = PAGE_BYTES / Descricao::MAX_BYTES;
/// The factor by which the number of requested items grows after a batch that was not cut.
const GROWTH: i64 = 4;

/// A list that is read batch by batch.
pub trait Batches {
    /// An item of the list.
    type Row;

    /// Fetches the next batch, or returns `None` after the last one.
    ///
    /// # Errors
    /// Those of the repository. They end the list.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Self::Row>>, Error>>;

    /// Returns whether another batch may follow.
    fn has_more(&self) -> bool;
}

/// An empty list.
impl<T> Batches for std::iter::Empty<T> {
    type Row = T;

    async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        Ok(None)
    }

    fn has_more(&self) -> bool {
        false
    }
}

/// Returns the first items of a page.
pub(crate) type Fetch<T> =
    Box<dyn Fn(Query<T>) -> Pin<Box<dyn Future<Output = Result<Batch<T>, Error>> + Send>> + Send + Sync>;

/// Reads the matches of a query batch by batch.
pub struct BatchReader<T: Listable> {
    fetch: Fetch<T>,
    /// The query of the next batch; `None` at the end of the list.
    next: Option<Query<T>>,
    /// Whether the list continues after the page of the query.
    is_whole_list: bool,
}

impl<T: Listable> BatchReader<T> {
    /// Reads the page of `query` or, if `is_whole_list`, all matches from there on.
    pub(crate) fn new(query: Query<T>, is_whole_list: bool, fetch: Fetch<T>) -> Self {
        Self { fetch, next: Some(query), is_whole_list }
    }

    /// Reads the items of the page of `query` that follow `items`, its first rows, up to `last`. Returns `None` if `items`
    /// has all.
    pub(crate) fn remaining(
        query: Query<T>,
        items: &[T],
        last: Option<&Cursor<T::SortKey>>,
        fetch: Fetch<T>,
    ) -> Option<Self> {
        let (item, last) = items.last().zip(last.cloned())?;
        let cursor = query.cursor_of(item);
        let query = Query { ate: Some(last), ..query.after(cursor, after_cut()) };
        Some(Self::new(query, false, fetch))
    }
}

impl<T: Listable> Batches for BatchReader<T> {
    type Row = T;

    async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(mut query) = self.next.take() else { return Ok(None) };
        let Batch { items, last } = (self.fetch)(query.clone()).await?;
        let limit = next_limit(items.len(), query.limit, last.is_some());
        if let (Some(limit), Some(item)) = (limit, items.last())
            && (last.is_some() || query.ate.is_some() || self.is_whole_list)
        {
            if !self.is_whole_list {
                query.ate = query.ate.or(last);
            }
            let cursor = query.cursor_of(item);
            self.next = Some(query.after(cursor, limit));
        }
        Ok((!items.is_empty()).then_some(items))
    }

    fn has_more(&self) -> bool {
        self.next.is_some()
    }
}

/// Returns the number of items to request after a batch of `count` of at most `limit`, or `None` after the last batch.
fn next_limit(count: usize, limit: Limit, is_cut: bool) -> Option<Limit> {
    if is_cut {
        return Some(after_cut());
    }
    let is_full = usize::try_from(limit.get()) == Ok(count);
    is_full.then(|| Limit::parse(limit.get().saturating_mul(GROWTH).min(Limit::MAX)).unwrap_or(limit))
}

fn after_cut() -> Limit {
    i64::try_from(AFTER_CUT).ok().and_then(|limit| Limit::parse(limit).ok()).unwrap_or(Limit::ONE)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::testing::atividade;
    use crate::{Atividade, AtividadeCampo, AtividadeQuery, Cursor, Ordem};

    type Responses = Vec<(Vec<&'static str>, Option<&'static str>)>;

    const POR_NOME: Ordem<AtividadeCampo> = Ordem { campo: AtividadeCampo::Nome, decrescente: false };

    /// Reads a list whose repository returns `responses` one after the other. Returns the names that were read, and of
    /// each query its limit and the names in its cursors.
    async fn read(is_whole_list: bool, limit: i64, responses: Responses) -> (Vec<String>, Vec<(i64, String, String)>) {
        let queries = Arc::new(Mutex::new(Vec::new()));
        let (seen_queries, responses) = (Arc::clone(&queries), Mutex::new(responses.into_iter()));
        let fetch: Fetch<Atividade> = Box::new(move |query| {
            let nome =
                |cursor: Option<Cursor<_>>| cursor.map(|cursor| cursor.to_text().split_off(33)).unwrap_or_default();
            seen_queries.lock().unwrap().push((query.limit.get(), nome(query.apos), nome(query.ate)));
            let (items, last) = responses.lock().unwrap().next().expect("no further query");
            let last = last.map(|nome| Cursor::of(&atividade(nome), POR_NOME));
            Box::pin(async move { Ok(Batch { items: items.into_iter().map(atividade).collect(), last }) })
        });
        let query =
            AtividadeQuery { ordem: POR_NOME, limit: Limit::parse(limit).unwrap(), ..AtividadeQuery::default() };
        let mut batches = BatchReader::new(query, is_whole_list, fetch);
        let mut seen = Vec::new();
        while let Some(items) = batches.next().await.unwrap() {
            seen.extend(items.into_iter().map(|item| item.nome.into_string()));
        }
        assert!(!batches.has_more());
        let queries = queries.lock().unwrap().clone();
        (seen, queries)
    }

    fn query(limit: i64, apos: &str, ate: &str) -> (i64, String, String) {
        (limit, apos.to_owned(), ate.to_owned())
    }

    #[tokio::test]
    async fn reader_of_a_page_ends_at_its_last_item() {
        let (names, queries) = read(false, 2, vec![(vec!["A", "B"], None)]).await;
        assert_eq!((names.concat(), queries), ("AB".to_owned(), vec![query(2, "", "")]));

        let responses = vec![(vec!["A"], Some("E")), (vec!["B", "C"], Some("E")), (vec!["D", "E"], None)];
        let (names, queries) = read(false, 5, responses).await;
        assert_eq!(names.concat(), "ABCDE");
        assert_eq!(queries, [query(5, "", ""), query(8, "A", "E"), query(8, "C", "E")]);
    }

    #[tokio::test]
    async fn reader_of_a_whole_list_continues_after_a_full_page() {
        let responses = vec![(vec!["A", "B"], None), (vec!["C"], Some("Z")), (vec!["D"; 8], None), (vec!["E"], None)];
        let (names, queries) = read(true, 2, responses).await;
        assert_eq!(names.concat(), "ABCDDDDDDDDE");
        assert_eq!(queries, [query(2, "", ""), query(8, "B", ""), query(8, "C", ""), query(32, "D", "")]);

        // Nothing follows a full last page.
        let (names, queries) = read(true, 1000, vec![(vec!["A"; 1000], None), (vec![], None)]).await;
        assert_eq!((names.len(), queries.len()), (1000, 2));
    }
}
