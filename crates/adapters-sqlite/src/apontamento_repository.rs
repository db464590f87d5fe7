//! The repository of time entries.

use async_trait::async_trait;
use domain::{
    Agrupamento, Apontamento, ApontamentoFiltro, ApontamentoId, ApontamentoPatch, ApontamentoQuery, ApontamentoRecord,
    ApontamentoRepository, Batch, BatchBuilder, Comentario, Error, Idempotency, LinhaDeHoras, Minutos, NomeProjeto,
    ProjetoRef, RefusalReason, Totais, date_text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement, raw_sql};
use time::OffsetDateTime;

use crate::apontamento_report_row::{ReportRow, TotalsRow};
use crate::apontamento_row::{ApontamentoRow, COLUMNS, JOINS};
use crate::value::{id_text, microseconds, parse_id};
use crate::{SqliteDatabase, apontamento_insert, apontamento_query, db_error, idempotency};

/// [`ApontamentoRepository`] on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteApontamentoRepository(SqliteDatabase);

impl SqliteApontamentoRepository {
    /// Builds the repository on `database`.
    #[must_use]
    pub fn new(database: &SqliteDatabase) -> Self {
        Self(database.clone())
    }
}

#[async_trait]
impl ApontamentoRepository for SqliteApontamentoRepository {
    async fn insert_all(
        &self,
        records: Vec<ApontamentoRecord>,
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Apontamento>, Error> {
        let rows = apontamento_insert::insert_all(&self.0, &records, idempotency.as_ref()).await;
        rows.map_err(db_error::into_domain)??.into_iter().map(Apontamento::try_from).collect()
    }

    async fn replay(&self, once: Idempotency, now: OffsetDateTime) -> Result<Option<Vec<Apontamento>>, Error> {
        let rows = idempotency::replay::<Vec<ApontamentoRow>>(&self.0, &once, now).await?;
        rows.map(|rows| rows.into_iter().map(Apontamento::try_from).collect()).transpose()
    }

    async fn find(&self, id: ApontamentoId) -> Result<Option<Apontamento>, Error> {
        let rows: Vec<ApontamentoRow> = self.0.fetch_all(by_id(id)).await?;
        rows.into_iter().next().map(Apontamento::try_from).transpose()
    }

    async fn list(&self, query: ApontamentoQuery) -> Result<Batch<Apontamento>, Error> {
        let mut page = BatchBuilder::<Apontamento>::default();
        let push = |row: ApontamentoRow| row.try_into().map(|row| page.push(row));
        self.0.for_each_row(apontamento_query::page(&query), push).await?;
        Ok(page.finish(()))
    }

    async fn totals(&self, filtro: ApontamentoFiltro) -> Result<Totais, Error> {
        let rows: Vec<TotalsRow> = self.0.fetch_all(apontamento_query::totals(&filtro)).await?;
        let row = rows.into_iter().next().ok_or_else(|| Error::internal("an aggregate returned no row"))?;
        row.try_into()
    }

    async fn report(
        &self,
        filtro: ApontamentoFiltro,
        agrupar: Vec<Agrupamento>,
        max: usize,
    ) -> Result<Vec<LinhaDeHoras>, Error> {
        let limit = i64::try_from(max).map_err(Error::internal)?.saturating_add(1);
        let rows: Vec<ReportRow> = self.0.fetch_all(apontamento_query::report(&filtro, &agrupar, limit)).await?;
        if max < rows.len() {
            return Err(RefusalReason::TooManyLines { max }.into());
        }
        rows.into_iter().map(|row| row.into_line(&agrupar)).collect()
    }

    async fn update(
        &self,
        id: ApontamentoId,
        usuario: &str,
        patch: ApontamentoPatch,
        now: OffsetDateTime,
    ) -> Result<Option<Apontamento>, Error> {
        // The transaction holds the write lock of the file, so nothing changes between the checks and the update.
        let transaction = self.0.begin_immediate().await.map_err(db_error::into_domain)?;
        let Some(current) = find(&transaction, id).await? else { return Ok(None) };
        if current.usuario.id != usuario {
            return Err(RefusalReason::NotOwner.into());
        }
        if patch.expected.is_some_and(|expected| expected != current.atualizado_em) {
            return Err(Error::VersionMismatch);
        }
        check_atividade(&transaction, &current, &patch).await?;
        check_day(&transaction, &current, &patch).await?;
        write(&transaction, id, patch, now).await.map_err(db_error::into_domain)?;
        let updated = find(&transaction, id).await?;
        transaction.commit().await.map_err(db_error::into_domain)?;
        Ok(updated)
    }

    async fn delete(&self, id: ApontamentoId, usuario: &str, expected: Option<OffsetDateTime>) -> Result<bool, Error> {
        let (key, version) = (id_text(id.0), expected.map(microseconds));
        let delete = raw_sql!(
            Sqlite,
            "DELETE FROM apontamentos WHERE id = {key} AND usuario_id = {usuario}
             AND ({version} IS NULL OR atualizado_em = {version})"
        );
        if self.0.execute(delete).await.map_err(db_error::into_domain)?.rows_affected() != 0 {
            return Ok(true);
        }
        // No row was deleted: another owner, `expected` mismatch, or no such id.
        match self.find(id).await? {
            Some(found) if found.usuario.id != usuario => Err(RefusalReason::NotOwner.into()),
            Some(_) if expected.is_some() => Err(Error::VersionMismatch),
            _ => Ok(false),
        }
    }

    /// Names are compared in memory, because SQLite has no case folding for Unicode.
    async fn find_projeto(&self, nome: NomeProjeto) -> Result<Option<ProjetoRef>, Error> {
        let rows: Vec<ProjetoNameRow> = self
            .0
            .fetch_all(raw_sql!(
                Sqlite,
                "SELECT id, nome FROM projetos ORDER BY azure_project_id IS NULL, criado_em, id"
            ))
            .await?;
        let wanted = nome.as_str().to_lowercase();
        let found = rows.into_iter().find(|row| row.nome.to_lowercase() == wanted);
        found.map(|row| parse_id(&row.id).map(ProjetoRef)).transpose()
    }
}

fn by_id(id: ApontamentoId) -> Statement {
    let sql = format!("SELECT {COLUMNS} FROM apontamentos e {JOINS} WHERE e.id = ?1");
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id_text(id.0).into()])
}

async fn find(transaction: &DatabaseTransaction, id: ApontamentoId) -> Result<Option<Apontamento>, Error> {
    let row = ApontamentoRow::find_by_statement(by_id(id)).one(transaction).await.map_err(db_error::into_domain)?;
    row.map(Apontamento::try_from).transpose()
}

/// Checks the new atividade.
async fn check_atividade(
    transaction: &DatabaseTransaction,
    current: &Apontamento,
    patch: &ApontamentoPatch,
) -> Result<(), Error> {
    let Some(atividade) = patch.atividade.filter(|atividade| *atividade != current.id_atividade) else { return Ok(()) };
    let key = id_text(atividade.0);
    let row = AtivoRow::find_by_statement(raw_sql!(Sqlite, "SELECT ativo FROM atividades WHERE id = {key}"));
    match row.one(transaction).await.map_err(db_error::into_domain)? {
        None => Err(RefusalReason::UnknownAtividade(atividade).into()),
        Some(AtivoRow { ativo: false }) => Err(RefusalReason::InactiveAtividade.into()),
        Some(AtivoRow { ativo: true }) => Ok(()),
    }
}

/// Checks the limit of the day if the entry gets longer or moves to another day.
async fn check_day(
    transaction: &DatabaseTransaction,
    current: &Apontamento,
    patch: &ApontamentoPatch,
) -> Result<(), Error> {
    let (minutos, data) = (patch.minutos.unwrap_or(current.minutos), patch.data.unwrap_or(current.data));
    if data == current.data && minutos <= current.minutos {
        return Ok(());
    }
    let (usuario, key, dia) = (current.usuario.id.as_str(), id_text(current.id.0), date_text(data));
    let sum = SumRow::find_by_statement(raw_sql!(
        Sqlite,
        "SELECT COALESCE(sum(minutos), 0) AS minutos FROM apontamentos
         WHERE usuario_id = {usuario} AND data = {dia} AND id <> {key}"
    ));
    let others = sum.one(transaction).await.map_err(db_error::into_domain)?.map_or(0, |row| row.minutos);
    let left = u16::try_from(i64::from(Minutos::MAX) - others).unwrap_or_default();
    if left < minutos.get() { Err(RefusalReason::DayFull { data, restantes: left }.into()) } else { Ok(()) }
}

/// Changes the fields that `patch` has. Equal values change nothing.
async fn write(
    transaction: &DatabaseTransaction,
    id: ApontamentoId,
    patch: ApontamentoPatch,
    now: OffsetDateTime,
) -> Result<(), DbErr> {
    let ApontamentoPatch { minutos, data, comentario, atividade, expected: _ } = patch;
    let (key, atividade) = (id_text(id.0), atividade.map(|atividade| id_text(atividade.0)));
    let (minutos, data, now) =
        (minutos.map(|minutos| i32::from(minutos.get())), data.map(date_text), microseconds(now));
    let keep_comentario = comentario.is_absent();
    let comentario = comentario.into_value().map(Comentario::into_string);
    // An absent field is NULL. A comparison with NULL is NULL, which does not count as a difference.
    let update = raw_sql!(
        Sqlite,
        r#"
        UPDATE apontamentos
        SET minutos = coalesce({minutos}, minutos), data = coalesce({data}, data),
            comentario = CASE WHEN {keep_comentario} THEN comentario ELSE {comentario} END,
            id_atividade = coalesce({atividade}, id_atividade), atualizado_em = max({now}, atualizado_em + 1)
        WHERE id = {key}
          AND (minutos <> {minutos} OR data <> {data} OR id_atividade <> {atividade}
               OR (NOT {keep_comentario} AND comentario IS NOT {comentario}))
        "#
    );
    transaction.execute_raw(update).await.map(drop)
}

#[derive(FromQueryResult)]
struct AtivoRow {
    ativo: bool,
}

#[derive(FromQueryResult)]
struct SumRow {
    minutos: i64,
}

#[derive(FromQueryResult)]
struct ProjetoNameRow {
    id: String,
    nome: String,
}
