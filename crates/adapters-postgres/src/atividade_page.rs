//! Reading a page of atividades within a bound of memory.

use domain::{Atividade, AtividadeCampo, AtividadeQuery, Batch, Cursor, Error, Ordem};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::{FromQueryResult as _, QueryResult};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::atividade_row::AtividadeRow;
use crate::db_error;
use crate::listing::{self, Form, Total};
use crate::operation::Operation;

/// The rows of a page that fit into a [`Batch`].
#[derive(Default)]
pub(crate) struct Page {
    items: Vec<Atividade>,
    /// The last row that does not fit, without its description.
    left_out: Option<Atividade>,
    /// The number of all matches, from a row of its own.
    pub(crate) total: Option<i64>,
    error: Option<Error>,
}

impl Page {
    /// Reads the page of `query`, a second time if its texts do not fit.
    pub(crate) async fn read(operation: &Operation<'_>, query: &AtividadeQuery, total: Total) -> Result<Self, Error> {
        let page = Self::read_form(operation, query, total, Form::Quick).await?;
        if page.left_out.is_some() {
            return Self::read_form(operation, query, total, Form::Bounded).await;
        }
        Ok(page.sorted(query.ordem))
    }

    async fn read_form(
        operation: &Operation<'_>,
        query: &AtividadeQuery,
        total: Total,
        form: Form,
    ) -> Result<Self, Error> {
        let statement = listing::page(query, total, form);
        let (page, _) = operation
            .fold(&statement, Self::default, |page: &mut Self, row| {
                if let Err(error) = page.push(row) {
                    page.error.get_or_insert(error);
                }
            })
            .await
            .map_err(|error| db_error::into_domain(&error))?;
        page.error.map_or_else(|| Ok(Self { error: None, ..page }), Err)
    }

    fn push(&mut self, row: PgRow) -> Result<(), Error> {
        let (row, into_domain) = (QueryResult::from(row), |error| db_error::into_domain(&error));
        if row.try_get_by_index::<Option<Uuid>>(0).map_err(into_domain)?.is_none() {
            self.total = row.try_get_by_index(listing::TOTAL).map_err(into_domain)?;
            return Ok(());
        }
        let fits: bool = row.try_get_by_index(listing::FITS).map_err(into_domain)?;
        let item = Atividade::try_from(AtividadeRow::from_query_result(&row, "").map_err(into_domain)?)?;
        if fits && self.left_out.is_none() {
            self.items.push(item);
        } else {
            self.left_out = Some(item);
        }
        Ok(())
    }

    /// Sorts rows of [`Form::Quick`].
    fn sorted(mut self, Ordem { campo, decrescente }: Ordem<AtividadeCampo>) -> Self {
        let key: fn(&Atividade) -> OffsetDateTime = match campo {
            AtividadeCampo::CriadoEm => |atividade| atividade.criado_em,
            AtividadeCampo::AtualizadoEm => |atividade| atividade.atualizado_em,
            // PostgreSQL sorts by name.
            AtividadeCampo::Nome => return self,
        };
        self.items.sort_by(|a, b| {
            let ascending = (key(a), a.id).cmp(&(key(b), b.id));
            if decrescente { ascending.reverse() } else { ascending }
        });
        self
    }

    pub(crate) fn into_batch(self, ordem: Ordem<AtividadeCampo>) -> Batch<Atividade> {
        Batch { items: self.items, last: self.left_out.map(|last| Cursor::of(&last, ordem)) }
    }
}
