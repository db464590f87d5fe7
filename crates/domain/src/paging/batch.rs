//! Rows of a list, as many as fit into a bounded amount of memory.

use crate::{Atividade, Campo, Cursor, Projeto, ProjetoCursor};

/// How many bytes of text one call of a repository returns at most; a single row may have more. A page of 1,000 rows with
/// 64 KiB each would otherwise take 64 MB.
pub const PAGE_BYTES: usize = 512 * 1024;

/// The first rows of a page, as many as fit into [`PAGE_BYTES`], and at least one if there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T, C = Cursor> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// The last row of the whole page, if rows were left out.
    pub last: Option<C>,
}

/// One page of a listing, or the first rows of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pagina<T> {
    /// The entries of this page, as many as fit into [`PAGE_BYTES`](crate::PAGE_BYTES).
    pub items: Vec<T>,
    /// How many match in all, on every page together.
    pub total: u64,
    /// The last entry of the whole page, if `items` has only the first ones of it.
    pub last: Option<Cursor>,
}

/// A whole page.
impl<T, C> From<Vec<T>> for Batch<T, C> {
    fn from(items: Vec<T>) -> Self {
        Self { items, last: None }
    }
}

/// A row whose texts can be of any size.
pub trait TextSize {
    /// How many bytes its texts take.
    fn text_bytes(&self) -> usize;
}

impl TextSize for Atividade {
    fn text_bytes(&self) -> usize {
        let Self { nome, descricao, nome_projeto, criado_por, .. } = self;
        let descricao = descricao.as_ref().map_or(0, |descricao| descricao.as_str().len());
        let criado_por = criado_por.as_ref().map_or(0, String::len);
        nome.as_str().len() + descricao + nome_projeto.as_str().len() + criado_por
    }
}

impl TextSize for Projeto {
    fn text_bytes(&self) -> usize {
        let Self { nome, descricao, url, estado, .. } = self;
        let descricao = descricao.as_ref().map_or(0, |descricao| descricao.as_str().len());
        let others = [url, estado].into_iter().flatten().map(String::len).sum::<usize>();
        nome.as_str().len() + descricao + others
    }
}

/// Collects the rows of a page as a database returns them, in the order of the list. Rows beyond [`PAGE_BYTES`] are
/// dropped one by one, so a repository reads a page to its end in bounded memory.
#[derive(Debug)]
pub struct BatchBuilder<T> {
    items: Vec<T>,
    bytes: usize,
    left_out: Option<T>,
}

impl<T> Default for BatchBuilder<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0, left_out: None }
    }
}

/// A whole page that is known to fit.
impl<T> From<Vec<T>> for BatchBuilder<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, ..Self::default() }
    }
}

impl<T: TextSize> BatchBuilder<T> {
    /// Keeps `item` if it is the first one, or fits and follows rows that all fitted.
    pub fn push(&mut self, item: T) {
        let bytes = self.bytes.saturating_add(item.text_bytes());
        if self.left_out.is_some() || (PAGE_BYTES < bytes && !self.items.is_empty()) {
            self.left_out = Some(item);
        } else {
            self.bytes = bytes;
            self.items.push(item);
        }
    }
}

impl<T> BatchBuilder<T> {
    /// Drops `item`, of which the database kept the texts back, and what follows it.
    pub fn leave_out(&mut self, item: T) {
        self.left_out = Some(item);
    }
}

impl BatchBuilder<Atividade> {
    /// Returns the rows of a page that is ordered by `campo`.
    #[must_use]
    pub fn finish(self, campo: Campo) -> Batch<Atividade> {
        Batch { items: self.items, last: self.left_out.map(|last| Cursor::of(&last, campo)) }
    }
}

impl BatchBuilder<Projeto> {
    /// Returns the rows of a page.
    #[must_use]
    pub fn finish(self) -> Batch<Projeto, ProjetoCursor> {
        Batch { items: self.items, last: self.left_out.map(|last| ProjetoCursor::of(&last)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{atividade, projeto};
    use crate::{AtividadeId, Descricao};

    fn built(sizes: &[usize]) -> (Vec<usize>, Option<u128>) {
        let mut builder = BatchBuilder::default();
        for (n, size) in (0..).zip(sizes) {
            // Larger than any stored text, to see what becomes of a row that alone exceeds the bound.
            let mut row = atividade("A");
            row.id = AtividadeId(uuid::Uuid::from_u128(n));
            row.criado_por = Some("a".repeat(*size));
            builder.push(row);
        }
        let batch = builder.finish(Campo::CriadoEm);
        let kept = batch.items.iter().map(|row| usize::try_from(row.id.0.as_u128()).unwrap()).collect();
        (kept, batch.last.map(|last| last.id.0.as_u128()))
    }

    #[test]
    fn a_batch_ends_before_the_first_row_that_does_not_fit() {
        const KIB_64: usize = 64 * 1024;
        assert_eq!(built(&[]), (vec![], None));
        assert_eq!(built(&[1, 2, 3]), (vec![0, 1, 2], None));
        assert_eq!(built(&[KIB_64; 7]), ((0..7).collect(), None));
        // The names take some bytes as well.
        assert_eq!(built(&[KIB_64; 9]), ((0..7).collect(), Some(8)));
        // A small row after one that was left out would leave a gap.
        assert_eq!(built(&[PAGE_BYTES - 100, 200, 1]), (vec![0], Some(2)));
        assert_eq!(built(&[2 * PAGE_BYTES, 1, 1]), (vec![0], Some(2)));
        assert_eq!(built(&[2 * PAGE_BYTES]), (vec![0], None));
    }

    #[test]
    fn every_text_counts() {
        let mut row = projeto("Abc");
        row.descricao = Some(Descricao::parse("é".to_owned()).unwrap());
        (row.url, row.estado) = (Some("1234".to_owned()), Some("12345".to_owned()));
        assert_eq!(row.text_bytes(), 3 + 2 + 4 + 5);
        let mut row = atividade("Abc");
        row.descricao = Some(Descricao::parse("é".to_owned()).unwrap());
        row.criado_por = Some("1234".to_owned());
        assert_eq!(row.text_bytes(), 3 + 2 + 4 + row.nome_projeto.as_str().len());
    }
}
