//! The first items of a page, as many as fit into a bounded amount of memory.

use super::{Cursor, Listable};

/// The largest size in bytes of the texts that one call of a repository returns; a single item may exceed it. Without
/// the bound, a page of 1,000 items of 64 KiB would take 64 MB.
pub const PAGE_BYTES: usize = 512 * 1024;

/// The first items of a page, as many as fit into [`PAGE_BYTES`], and at least one if the page has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T: Listable> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// The last item of the whole page, if `items` ends before it.
    pub last: Option<Cursor<T::SortKey>>,
}

/// A whole page.
impl<T: Listable> From<Vec<T>> for Batch<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, last: None }
    }
}

/// Collects the rows of a page while a database returns them, in the order of the list. Rows beyond [`PAGE_BYTES`] are
/// dropped one by one, so a repository reads the whole page in bounded memory.
#[derive(Debug)]
pub struct BatchBuilder<T> {
    items: Vec<T>,
    bytes: usize,
    dropped: Option<T>,
}

impl<T> Default for BatchBuilder<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0, dropped: None }
    }
}

/// A whole page that is known to fit.
impl<T> From<Vec<T>> for BatchBuilder<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, ..Self::default() }
    }
}

impl<T: Listable> BatchBuilder<T> {
    /// Keeps `item` if it is the first one, or if it fits and no item was dropped before it.
    pub fn push(&mut self, item: T) {
        let bytes = self.bytes.saturating_add(item.text_bytes());
        if self.dropped.is_some() || (PAGE_BYTES < bytes && !self.items.is_empty()) {
            self.dropped = Some(item);
        } else {
            self.bytes = bytes;
            self.items.push(item);
        }
    }

    /// Drops `item`, whose texts the database did not return, and every item after it.
    pub fn cut_at(&mut self, item: T) {
        self.dropped = Some(item);
    }

    /// Returns the items of a page that is ordered by `ordem`.
    #[must_use]
    pub fn finish(self, ordem: T::Ordem) -> Batch<T> {
        Batch { items: self.items, last: self.dropped.map(|last| Cursor::of(&last, ordem)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::atividade;
    use crate::{AtividadeId, Ordem};

    fn built(sizes: &[usize]) -> (Vec<usize>, Option<u128>) {
        let mut builder = BatchBuilder::default();
        for (n, size) in (0..).zip(sizes) {
            // Larger than any stored text, so that a single row can exceed the bound.
            let mut row = atividade("A");
            row.id = AtividadeId(uuid::Uuid::from_u128(n));
            row.criado_por = Some("a".repeat(*size));
            builder.push(row);
        }
        let batch = builder.finish(Ordem::default());
        let kept = batch.items.iter().map(|row| usize::try_from(row.id.0.as_u128()).unwrap()).collect();
        (kept, batch.last.map(|last| last.id.as_u128()))
    }

    #[test]
    fn builder_ends_before_the_first_item_that_does_not_fit() {
        const KIB_64: usize = 64 * 1024;
        assert_eq!(built(&[]), (vec![], None));
        assert_eq!(built(&[1, 2, 3]), (vec![0, 1, 2], None));
        assert_eq!(built(&[KIB_64; 7]), ((0..7).collect(), None));
        // The names take some bytes as well.
        assert_eq!(built(&[KIB_64; 9]), ((0..7).collect(), Some(8)));
        // A small item after a dropped one would leave a gap.
        assert_eq!(built(&[PAGE_BYTES - 100, 200, 1]), (vec![0], Some(2)));
        assert_eq!(built(&[2 * PAGE_BYTES, 1, 1]), (vec![0], Some(2)));
        assert_eq!(built(&[2 * PAGE_BYTES]), (vec![0], None));
    }
}
