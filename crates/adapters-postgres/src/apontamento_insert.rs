//! Inserting time entries within the limit of each person and day.

use domain::{
    ApontamentoRecord, AtividadeId, Comentario, Error, Idempotency, Minutos, Refusal, RefusalReason, date_text,
};
use sea_orm::{ConnectionTrait as _, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::apontamento_row::ApontamentoRow;
use crate::idempotency::{self, Reservation};
use crate::operation::Transaction;
use crate::{PostgresDatabase, db_error, write_back_queue};

const OPERATION: &str = "apontamentos.insert_all";
/// The statements of an insert: the locks, the insert, the work items to write.
const STATEMENTS: u32 = 3;
/// SQLSTATE `foreign_key_violation`.
const FOREIGN_KEY_VIOLATION: &str = "23503";

/// What the statement found out about a record.
#[derive(FromQueryResult)]
struct FactsRow {
    existe_projeto: bool,
    ativo: Option<bool>,
    minutos_antes: i64,
    #[sea_orm(nested)]
    gravado: Option<ApontamentoRow>,
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
    let days = records.iter().map(|record| (record.usuario.id.as_str(), date_text(record.data)));
    lock_days(&transaction, days).await?;
    let rows = match insert_all(&transaction, records, now, writes_back).await? {
        Ok(rows) => rows,
        Err(refusals) => {
            // A refused request does not use its key.
            transaction.rollback().await?;
            return Ok(Err(Error::Refused(refusals)));
        }
    };
    if writes_back {
        let verified = records.iter().filter(|record| record.verificado);
        let work_items = verified.map(|record| (record.organizacao.as_str(), record.work_item.get()));
        write_back_queue::enqueue(&transaction, &first.usuario.id, work_items, now).await?;
    }
    match once {
        None => transaction.commit().await?,
        Some(once) => idempotency::commit(transaction, once, &rows).await?,
    }
    Ok(Ok(rows))
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

/// Inserts all `records`, or none and returns why.
async fn insert_all(
    transaction: &Transaction<'_>,
    records: &[ApontamentoRecord],
    now: OffsetDateTime,
    writes_back: bool,
) -> Result<Result<Vec<ApontamentoRow>, Vec<Refusal>>, DbErr> {
    let escrita = if writes_back { "pendente" } else { "desligada" };
    let (json, max) = (to_json(records, now), i64::from(Minutos::MAX));
    // `no_dia` is the sum of the day with the items up to this one. Equal work items are not written, so entries of the same
    // work item do not wait for each other.
    let facts = FactsRow::find_by_statement(raw_sql!(
        Postgres,
        r#"WITH novos AS MATERIALIZED (
               SELECT r.*, p.nome AS nome_projeto, a.nome AS nome_atividade, a.ativo,
                      {now}::timestamptz + depois * interval '1 microsecond' AS em,
                      sum(r.minutos) OVER (PARTITION BY r.usuario_id, r.data ORDER BY r.lugar)
                      + (SELECT COALESCE(sum(e.minutos), 0) FROM apontamentos e
                         WHERE e.usuario_id = r.usuario_id AND e.data = r.data) AS no_dia
               FROM ROWS FROM (jsonb_to_recordset({json}::jsonb) AS (
                   id uuid, work_item_id integer, titulo text, tipo text, id_projeto uuid, organizacao text, data date,
                   minutos smallint, id_atividade uuid, comentario text, usuario_id text, usuario_nome text,
                   usuario_email text, verificado boolean, depois bigint
               )) WITH ORDINALITY AS r (
                   id, work_item_id, titulo, tipo, id_projeto, organizacao, data, minutos, id_atividade, comentario,
                   usuario_id, usuario_nome, usuario_email, verificado, depois, lugar
               )
               LEFT JOIN projetos p ON p.id = r.id_projeto
               LEFT JOIN atividades a ON a.id = r.id_atividade
           ), recusa AS MATERIALIZED (
               SELECT EXISTS (
                   SELECT FROM novos WHERE nome_projeto IS NULL OR ativo IS NOT TRUE OR {max}::bigint < no_dia
               ) AS houve
           ), vistos AS (
               INSERT INTO work_items AS w (organizacao, id, titulo, tipo, visto_em)
               SELECT DISTINCT ON (n.organizacao, n.work_item_id) n.organizacao, n.work_item_id, n.titulo, n.tipo, n.em
               FROM novos n
               WHERE n.titulo IS NOT NULL AND NOT (SELECT houve FROM recusa)
                 AND NOT EXISTS (SELECT FROM work_items w WHERE w.organizacao = n.organizacao AND w.id = n.work_item_id
                                                            AND (w.titulo, w.tipo) = (n.titulo, n.tipo))
               ORDER BY n.organizacao, n.work_item_id
               ON CONFLICT ON CONSTRAINT work_items_pkey
               DO UPDATE SET titulo = EXCLUDED.titulo, tipo = EXCLUDED.tipo, visto_em = EXCLUDED.visto_em
           ), inseridos AS (
               INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos,
                                         comentario, usuario_id, usuario_nome, usuario_email, verificado, criado_em,
                                         atualizado_em)
               SELECT id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario, usuario_id,
                      usuario_nome, usuario_email, verificado, em, em
               FROM novos WHERE NOT (SELECT houve FROM recusa)
               RETURNING *
           )
           SELECT n.nome_projeto IS NOT NULL AS existe_projeto, n.ativo, (n.no_dia - n.minutos)::bigint AS minutos_antes,
                  i.id, i.work_item_id, COALESCE(n.titulo, w.titulo) AS titulo, COALESCE(n.tipo, w.tipo) AS tipo,
                  i.id_projeto, n.nome_projeto, i.organizacao, i.data, i.minutos, i.id_atividade, n.nome_atividade,
                  i.comentario, i.usuario_id, i.usuario_nome, i.usuario_email, {escrita}::text AS escrita, i.criado_em,
                  i.atualizado_em
           FROM novos n
           LEFT JOIN inseridos i ON i.id = n.id
           LEFT JOIN work_items w ON w.organizacao = n.organizacao AND w.id = n.work_item_id
           ORDER BY n.lugar"#
    ));
    let facts = facts.all(transaction).await?;
    let refusals = records.iter().zip(&facts).enumerate().filter_map(|(item, (record, facts))| {
        refusal(record, facts).map(|reason| Refusal { item: Some(item), reason })
    });
    let refusals: Vec<_> = refusals.collect();
    if refusals.is_empty() {
        Ok(Ok(facts.into_iter().filter_map(|facts| facts.gravado).collect()))
    } else {
        Ok(Err(refusals))
    }
}

fn refusal(record: &ApontamentoRecord, facts: &FactsRow) -> Option<RefusalReason> {
    let left = u16::try_from(i64::from(Minutos::MAX) - facts.minutos_antes).unwrap_or_default();
    if !facts.existe_projeto {
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

/// Encodes times as microseconds after `now`, because JSON has no type for them.
fn to_json(records: &[ApontamentoRecord], now: OffsetDateTime) -> Value {
    let object = |record: &ApontamentoRecord| {
        let visto = record.work_item_visto.as_ref();
        json!({
            "id": record.id.0,
            "work_item_id": record.work_item.get(),
            "titulo": visto.map(|visto| &visto.titulo),
            "tipo": visto.map(|visto| &visto.tipo),
            "id_projeto": record.projeto.0,
            "organizacao": record.organizacao,
            "data": date_text(record.data),
            "minutos": record.minutos.get(),
            "id_atividade": record.atividade.0,
            "comentario": record.comentario.as_ref().map(Comentario::as_str),
            "usuario_id": record.usuario.id,
            "usuario_nome": record.usuario.display_name,
            "usuario_email": record.usuario.email,
            "verificado": record.verificado,
            "depois": i64::try_from((record.criado_em - now).whole_microseconds()).unwrap_or_default(),
        })
    };
    records.iter().map(object).collect()
}
