//! Pages of a list.

use super::{Cursor, Listable};

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
