//! Inserting time entries within the limit of each person and day.

use async_trait::async_trait;
use coalescer::Batch;
use domain::{
    ApontamentoRecord, AtividadeId, Comentario, Error, Idempotency, Minutos, Refusal, RefusalReason, date_text,
};
use sea_orm::{ConnectionTrait as _, DbErr, FromQueryResult, raw_sql};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::apontamento_row::ApontamentoRow;
use crate::idempotency::{self, Reservation};
use crate::operation::Transaction;
use crate::write_back_queue::Changed;
use crate::{PostgresDatabase, db_error, write_back_queue};

pub(crate) const INSERT: &str = "apontamentos.insert";
const OPERATION: &str = "apontamentos.insert_all";
/// The statements of an insert: the locks, the insert, the work items to write.
const STATEMENTS: u32 = 3;
/// SQLSTATE `foreign_key_violation`.
pub(crate) const FOREIGN_KEY_VIOLATION: &str = "23503";

/// A record as the statement reads it.
#[derive(Serialize)]
struct Item<'a> {
    id: Uuid,
    work_item_id: i32,
    titulo: Option<&'a str>,
    tipo: Option<&'a str>,
    id_projeto: Uuid,
    organizacao: &'a str,
    data: String,
    minutos: u16,
    id_atividade: Uuid,
    comentario: Option<&'a str>,
    usuario_id: &'a str,
    usuario_nome: &'a str,
    usuario_email: Option<&'a str>,
    verificado: bool,
    /// The microseconds of its time after that of the first, because JSON has no type for times.
    depois: i64,
}

impl<'a> Item<'a> {
    fn new(record: &'a ApontamentoRecord, now: OffsetDateTime) -> Self {
        let visto = record.work_item_visto.as_ref();
        Self {
            id: record.id.0,
            work_item_id: record.work_item.get(),
            titulo: visto.map(|visto| visto.titulo.as_str()),
            tipo: visto.map(|visto| visto.tipo.as_str()),
            id_projeto: record.projeto.0,
            organizacao: &record.organizacao,
            data: date_text(record.data),
            minutos: record.minutos.get(),
            id_atividade: record.atividade.0,
            comentario: record.comentario.as_ref().map(Comentario::as_str),
            usuario_id: &record.usuario.id,
            usuario_nome: &record.usuario.display_name,
            usuario_email: record.usuario.email.as_deref(),
            verificado: record.verificado,
            depois: i64::try_from((record.criado_em - now).whole_microseconds()).unwrap_or_default(),
        }
    }
}

/// What the statement found out about a record.
#[derive(FromQueryResult)]
struct FactsRow {
    gravado: bool,
    nome_projeto: Option<String>,
    nome_atividade: Option<String>,
    ativo: Option<bool>,
    minutos_antes: i64,
    titulo: Option<String>,
    tipo: Option<String>,
}

impl FactsRow {
    fn row(self, record: &ApontamentoRecord, escrita: &str) -> Option<ApontamentoRow> {
        let visto = self.titulo.zip(self.tipo);
        let nomes = self.nome_projeto.zip(self.nome_atividade).filter(|_| self.gravado);
        nomes.map(|nomes| ApontamentoRow::inserted(record, nomes, visto, escrita))
    }
}

/// Inserts all `records` or none and returns the rows in their order. Returns the stored response if the key of `once` was
/// used before. With `writes_back`, the hours of their work items are to be written to Azure DevOps.
pub(crate) async fn insert(
    database: &PostgresDatabase,
    records: &[ApontamentoRecord],
    once: Option<&Idempotency>,
    writes_back: bool,
) -> Result<Vec<ApontamentoRow>, Error> {
    let Some(first) = records.first() else { return Ok(Vec::new()) };
    let inserted = match attempt(database, records, first, once, writes_back).await {
        // A projeto or an atividade was deleted meanwhile. The second attempt sees that.
        Err(error) if db_error::code(&error) == Some(FOREIGN_KEY_VIOLATION) => {
            attempt(database, records, first, once, writes_back).await
        }
        inserted => inserted,
    };
    inserted.map_err(|error| db_error::into_domain(&error))?
}

async fn attempt(
    database: &PostgresDatabase,
    records: &[ApontamentoRecord],
    first: &ApontamentoRecord,
    once: Option<&Idempotency>,
    writes_back: bool,
) -> Result<Result<Vec<ApontamentoRow>, Error>, DbErr> {
    let now = first.criado_em;
    let transaction = match once {
        None => database.begin(OPERATION, STATEMENTS).await?,
        Some(once) => match idempotency::reserve(database, OPERATION, once, now).await? {
            Reservation::Acquired(transaction) => *transaction,
            Reservation::Ended(result) => return Ok(result),
        },
    };
    let facts = store(&transaction, records, now, writes_back, OnRefusal::Abort).await?;
    let refusals = records.iter().zip(&facts).enumerate().filter_map(|(item, (record, facts))| {
        refusal(record, facts).map(|reason| Refusal { item: Some(item), reason })
    });
    let refusals: Vec<_> = refusals.collect();
    if !refusals.is_empty() {
        // A refused request does not use its key.
        transaction.rollback().await?;
        return Ok(Err(Error::Refused(refusals)));
    }
    let escrita = escrita(writes_back);
    let rows: Vec<_> = records.iter().zip(facts).filter_map(|(record, facts)| facts.row(record, escrita)).collect();
    match once {
        None => transaction.commit().await?,
        Some(once) => idempotency::commit(transaction, once, &rows).await?,
    }
    Ok(Ok(rows))
}

/// Inserts of several concurrent calls in one transaction. A refused record is omitted, and so is one that is refused only because
/// of a refused record of the same day before it.
pub(crate) struct Insert {
    pub(crate) database: PostgresDatabase,
    pub(crate) writes_back: bool,
}

#[async_trait]
impl Batch for Insert {
    type Item = ApontamentoRecord;
    type Output = Option<ApontamentoRow>;
    type Error = DbErr;

    async fn run(&self, records: &[ApontamentoRecord]) -> Result<Vec<Option<ApontamentoRow>>, DbErr> {
        let Some(first) = records.first() else { return Ok(Vec::new()) };
        let transaction = self.database.begin(INSERT, STATEMENTS).await?;
        let facts = store(&transaction, records, first.criado_em, self.writes_back, OnRefusal::Omit).await?;
        transaction.commit().await?;
        let escrita = escrita(self.writes_back);
        Ok(records.iter().zip(facts).map(|(record, facts)| facts.row(record, escrita)).collect())
    }

    fn is_caused_by_item(error: &DbErr) -> bool {
        !db_error::is_unavailable(error)
    }
}

/// What a statement does if it refuses a record.
#[derive(Clone, Copy)]
enum OnRefusal {
    /// It inserts the other records.
    Omit,
    /// It inserts no record.
    Abort,
}

/// The state of the write-back of a new entry.
const fn escrita(writes_back: bool) -> &'static str {
    if writes_back { "pendente" } else { "desligada" }
}

/// Inserts `records` and queues the work items of those that it inserted.
async fn store(
    transaction: &Transaction<'_>,
    records: &[ApontamentoRecord],
    now: OffsetDateTime,
    writes_back: bool,
    on_refusal: OnRefusal,
) -> Result<Vec<FactsRow>, DbErr> {
    let days = records.iter().map(|record| (record.usuario.id.as_str(), date_text(record.data)));
    lock_days(transaction, days).await?;
    let facts = insert_all(transaction, records, now, on_refusal).await?;
    if writes_back {
        let stored = records.iter().zip(&facts).filter(|(record, facts)| record.verificado && facts.gravado);
        let changed = stored.map(|(record, _)| Changed {
            usuario: &record.usuario.id,
            organizacao: &record.organizacao,
            work_item: record.work_item.get(),
        });
        write_back_queue::enqueue(transaction, changed, now).await?;
    }
    Ok(facts)
}

/// Makes other transactions that add to the same days of the same persons wait for the end of this one. A statement reads the
/// snapshot of its start, so the sum of a day has to be read by a later statement. The locks are taken in one order, which
/// excludes deadlocks. The table's own number makes them those of one tenant.
pub(crate) async fn lock_days(
    transaction: &Transaction<'_>,
    days: impl Iterator<Item = (&str, String)>,
) -> Result<(), DbErr> {
    let days: Value = days.map(|(usuario, data)| format!("{data} {usuario}")).collect();
    let lock = raw_sql!(
        Postgres,
        r#"SELECT pg_advisory_xact_lock('apontamentos'::regclass::oid::integer, chave)
           FROM (SELECT DISTINCT hashtext(dia) AS chave FROM jsonb_array_elements_text({days}::jsonb) AS dias (dia)
                 ORDER BY chave) chaves"#
    );
    transaction.execute_raw(lock).await.map(drop)
}

/// Inserts `records` and returns what the statement found out about each.
async fn insert_all(
    transaction: &Transaction<'_>,
    records: &[ApontamentoRecord],
    now: OffsetDateTime,
    on_refusal: OnRefusal,
) -> Result<Vec<FactsRow>, DbErr> {
    let (json, max, is_aborted) =
        (to_json(records, now)?, i64::from(Minutos::MAX), matches!(on_refusal, OnRefusal::Abort));
    // `no_dia` is the sum of the day with the items up to this one. Equal work items are not written, so entries of the same
    // work item do not wait for each other. The planner takes the list for 100 records, and a plan is kept while a table grows
    // to any size: LIMIT makes it look each record up by the key and never read a whole table.
    let facts = FactsRow::find_by_statement(raw_sql!(
        Postgres,
        r#"WITH novos AS MATERIALIZED (
               SELECT *, nome_projeto IS NULL OR ativo IS NOT TRUE OR {max}::bigint < no_dia AS recusado
               FROM (
                   SELECT r.*, p.nome AS nome_projeto, a.nome AS nome_atividade, a.ativo, w.titulo AS titulo_antes,
                          w.tipo AS tipo_antes, {now}::timestamptz + depois * interval '1 microsecond' AS em,
                          sum(r.minutos) OVER (PARTITION BY r.usuario_id, r.data ORDER BY r.lugar)
                          + (SELECT COALESCE(sum(e.minutos), 0) FROM apontamentos e
                             WHERE e.usuario_id = r.usuario_id AND e.data = r.data) AS no_dia
                   FROM ROWS FROM (jsonb_to_recordset({json}::text::jsonb) AS (
                       id uuid, work_item_id integer, titulo text, tipo text, id_projeto uuid, organizacao text, data date,
                       minutos smallint, id_atividade uuid, comentario text, usuario_id text, usuario_nome text,
                       usuario_email text, verificado boolean, depois bigint
                   )) WITH ORDINALITY AS r (
                       id, work_item_id, titulo, tipo, id_projeto, organizacao, data, minutos, id_atividade, comentario,
                       usuario_id, usuario_nome, usuario_email, verificado, depois, lugar
                   )
                   LEFT JOIN LATERAL (SELECT nome FROM projetos WHERE id = r.id_projeto LIMIT 1) p ON true
                   LEFT JOIN LATERAL (SELECT nome, ativo FROM atividades WHERE id = r.id_atividade LIMIT 1) a ON true
                   LEFT JOIN LATERAL (
                       SELECT titulo, tipo FROM work_items
                       WHERE organizacao = r.organizacao AND id = r.work_item_id LIMIT 1
                   ) w ON true
               ) vistos
           ), aceitos AS MATERIALIZED (
               SELECT * FROM novos
               WHERE NOT recusado AND NOT ({is_aborted}::boolean AND EXISTS (SELECT FROM novos WHERE recusado))
           ), lembrados AS (
               INSERT INTO work_items AS w (organizacao, id, titulo, tipo, visto_em)
               SELECT DISTINCT ON (organizacao, work_item_id) organizacao, work_item_id, titulo, tipo, em
               FROM aceitos
               WHERE titulo IS NOT NULL AND (titulo, tipo) IS DISTINCT FROM (titulo_antes, tipo_antes)
               ORDER BY organizacao, work_item_id
               ON CONFLICT ON CONSTRAINT work_items_pkey
               DO UPDATE SET titulo = EXCLUDED.titulo, tipo = EXCLUDED.tipo, visto_em = EXCLUDED.visto_em
           ), inseridos AS (
               INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos,
                                         comentario, usuario_id, usuario_nome, usuario_email, verificado, criado_em,
                                         atualizado_em)
               SELECT id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario, usuario_id,
                      usuario_nome, usuario_email, verificado, em, em
               FROM aceitos
           )
           SELECT lugar IN (SELECT lugar FROM aceitos) AS gravado, nome_projeto, nome_atividade, ativo,
                  (no_dia - minutos)::bigint AS minutos_antes, COALESCE(titulo, titulo_antes) AS titulo,
                  COALESCE(tipo, tipo_antes) AS tipo
           FROM novos ORDER BY lugar"#
    ));
    facts.all(transaction).await
}

fn refusal(record: &ApontamentoRecord, facts: &FactsRow) -> Option<RefusalReason> {
    let left = u16::try_from(i64::from(Minutos::MAX) - facts.minutos_antes).unwrap_or_default();
    if facts.nome_projeto.is_none() {
        return Some(RefusalReason::UnknownProjeto(record.projeto.0.to_string()));
    }
    match facts.ativo {
        None => Some(RefusalReason::UnknownAtividade(AtividadeId(record.atividade.0))),
        Some(false) => Some(RefusalReason::InactiveAtividade),
        Some(true) if left < record.minutos.get() => {
            Some(RefusalReason::DayFull { data: record.data, restantes: left })
        }
        Some(true) => None,
    }
}

fn to_json(records: &[ApontamentoRecord], now: OffsetDateTime) -> Result<String, DbErr> {
    let items: Vec<_> = records.iter().map(|record| Item::new(record, now)).collect();
    serde_json::to_string(&items).map_err(|error| DbErr::Json(error.to_string()))
}
