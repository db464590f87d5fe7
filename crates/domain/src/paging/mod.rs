//! Lists that are read page by page.

mod batch;
mod limit;
mod reader;

pub use batch::{Batch, BatchBuilder, PAGE_BYTES, Pagina, TextSize};
pub use limit::{Limit, Skip};
pub use reader::{AtividadeBatches, Batches, ProjetoBatches};
