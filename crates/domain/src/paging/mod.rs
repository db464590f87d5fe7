//! Lists that are read page by page. A noun that implements [`Listable`] gets queries, cursors, pages and readers.

mod batch;
mod cursor;
mod limit;
mod page;
mod query;
mod reader;
mod search;

pub use batch::{Batch, BatchBuilder, PAGE_BYTES};
pub use cursor::{Cursor, SortKey};
pub use limit::{Limit, Skip};
pub use page::Page;
pub use query::{Ordem, Query};
pub use reader::{BatchReader, Batches};
pub use search::Busca;

pub(crate) use cursor::{instant_from_text, instant_to_text};
pub(crate) use reader::Fetch;

use std::fmt::Debug;

use uuid::Uuid;

/// An entity that is listed page by page.
pub trait Listable: Clone + Debug + Eq + Send + Sync + 'static {
    /// The conditions that a query can set.
    type Filtro: Clone + Debug + Default + Eq + Send + Sync;
    /// The orders that a list can have. Ties are broken by the id, in the same direction.
    type Ordem: Copy + Debug + Default + Eq + Send + Sync;
    /// The value by which an entity is ordered.
    type SortKey: SortKey;

    /// Returns the id, which breaks ties.
    fn id(&self) -> Uuid;

    /// Returns the value by which the entity is placed in `ordem`.
    fn sort_key(&self, ordem: Self::Ordem) -> Self::SortKey;

    /// Returns the size of all texts in bytes of UTF-8.
    fn text_bytes(&self) -> usize;
}
