//! Pages of a list.

use super::{Cursor, Listable, Query};

/// One page of a list, or its first items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T: Listable> {
    /// The items of this page, as many as fit into [`PAGE_BYTES`](crate::PAGE_BYTES).
    pub items: Vec<T>,
    /// The number of matches on all pages together.
    pub total: u64,
    /// The last item of the whole page, if `items` ends before it.
    pub last: Option<Cursor<T::SortKey>>,
}

impl<T: Listable> Page<T> {
    /// Returns the end of the page that `query` selected. A page that is not full has none, because no other page
    /// follows it.
    pub(crate) fn end(&self, query: &Query<T>) -> Option<Cursor<T::SortKey>> {
        let is_full = usize::try_from(query.limit.get()) == Ok(self.items.len());
        let end = || self.items.last().filter(|_| is_full).map(|item| query.cursor_of(item));
        self.last.clone().or_else(end)
    }
}
