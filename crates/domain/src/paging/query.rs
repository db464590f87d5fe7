//! What a list request selects, orders and bounds.

use super::{Cursor, Limit, Listable, Skip};

/// One page of a list of `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<T: Listable> {
    /// The conditions that every item meets.
    pub filtro: T::Filtro,
    /// The order of the list.
    pub ordem: T::Ordem,
    /// Excludes this position and everything before it.
    pub apos: Option<Cursor<T::SortKey>>,
    /// Excludes everything after this position.
    pub ate: Option<Cursor<T::SortKey>>,
    /// The number of matches to skip, after `apos`.
    pub skip: Skip,
    /// The largest number of items to return.
    pub limit: Limit,
}

impl<T: Listable> Default for Query<T> {
    /// The first page without conditions, in the default order.
    fn default() -> Self {
        Self {
            filtro: T::Filtro::default(),
            ordem: T::Ordem::default(),
            apos: None,
            ate: None,
            skip: Skip::default(),
            limit: Limit::default(),
        }
    }
}

impl<T: Listable> Query<T> {
    /// Returns the query for up to `limit` matches after `cursor`.
    pub(crate) fn after(self, cursor: Cursor<T::SortKey>, limit: Limit) -> Self {
        Self { apos: Some(cursor), skip: Skip::default(), limit, ..self }
    }

    /// Returns the end of the page that this query selects. `items` are its first rows, `last` is its last one if `items`
    /// ends before it. A page that is not full has none, because no other page follows it.
    pub(crate) fn end_of(&self, items: &[T], last: Option<&Cursor<T::SortKey>>) -> Option<Cursor<T::SortKey>> {
        let is_full = usize::try_from(self.limit.get()) == Ok(items.len());
        let end = || items.last().filter(|_| is_full).map(|item| self.cursor_of(item));
        last.cloned().or_else(end)
    }

    /// Returns the cursor of `item` in the order of this query.
    pub(crate) fn cursor_of(&self, item: &T) -> Cursor<T::SortKey> {
        Cursor::of(item, self.ordem)
    }
}

/// The order of a list by one of several fields. Ties are broken by the id, in the same direction, so pages never
/// overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordem<C> {
    /// The field.
    pub campo: C,
    /// Whether the largest value comes first.
    pub decrescente: bool,
}
