//! Inserting time entries. The transaction holds the write lock of the file, so the sum of a day is exact.

use domain::{ApontamentoRecord, Comentario, Error, Idempotency, Minutos, Refusal, RefusalReason, date_text};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult, raw_sql};
use serde_json::{Value, json};

use crate::apontamento_row::ApontamentoRow;
use crate::idempotency::{self, Reservation};
use crate::value::{id_text, microseconds};
use crate::{SqliteDatabase, write_back_queue};

/// What is known of a record before it is inserted.
#[derive(FromQueryResult)]
struct FactsRow {
    existe_projeto: bool,
    ativo: Option<bool>,
    minutos_antes: i64,
}

/// Inserts all `records` or none, and returns them as stored, in the same order. A repeated `once` returns the first result.
/// With `writes_back`, the hours of their work items are to be written to Azure DevOps.
pub(crate) async fn insert_all(
    database: &SqliteDatabase,
    records: &[ApontamentoRecord],
    once: Option<&Idempotency>,
    writes_back: bool,
) -> Result<Result<Vec<ApontamentoRow>, Error>, DbErr> {
    let Some(first) = records.first() else { return Ok(Ok(Vec::new())) };
    let now = first.criado_em;
    let transaction = match idempotency::reserve(database, once, now).await? {
        Reservation::Acquired(transaction) => transaction,
        Reservation::Replay(rows) => return Ok(Ok(rows)),
        Reservation::Rejected(error) => return Ok(Err(error)),
    };
    let json: Value = records.iter().map(to_json).collect();
    let json = json.to_string();
    let refusals = refusals(&transaction, records, &json).await?;
    if !refusals.is_empty() {
        return Ok(Err(Error::Refused(refusals)));
    }
    let rows = store(&transaction, &json, writes_back).await?;
    if writes_back {
        let verified = records.iter().filter(|record| record.verificado);
        let work_items = verified.map(|record| (record.organizacao.as_str(), record.work_item.get()));
        write_back_queue::enqueue(&transaction, &first.usuario.id, work_items, now).await?;
    }
    idempotency::complete(transaction, once, now, &rows).await?;
    Ok(Ok(rows))
}

async fn refusals(
    transaction: &DatabaseTransaction,
    records: &[ApontamentoRecord],
    json: &str,
) -> Result<Vec<Refusal>, DbErr> {
    let facts = FactsRow::find_by_statement(raw_sql!(
        Sqlite,
        r#"
        WITH novos AS (
            SELECT key AS lugar, value ->> 'id_projeto' AS id_projeto, value ->> 'id_atividade' AS id_atividade,
                   value ->> 'usuario_id' AS usuario_id, value ->> 'data' AS data, value ->> 'minutos' AS minutos
            FROM json_each({json})
        )
        SELECT EXISTS (SELECT 1 FROM projetos p WHERE p.id = n.id_projeto) AS existe_projeto, a.ativo,
               sum(n.minutos) OVER (PARTITION BY n.usuario_id, n.data ORDER BY n.lugar) - n.minutos
               + (SELECT COALESCE(sum(e.minutos), 0) FROM apontamentos e
                  WHERE e.usuario_id = n.usuario_id AND e.data = n.data) AS minutos_antes
        FROM novos n LEFT JOIN atividades a ON a.id = n.id_atividade
        ORDER BY n.lugar
        "#
    ));
    let facts = facts.all(transaction).await?;
    let refusals = records.iter().zip(&facts).enumerate().filter_map(|(item, (record, facts))| {
        refusal(record, facts).map(|reason| Refusal { item: Some(item), reason })
    });
    Ok(refusals.collect())
}

fn refusal(record: &ApontamentoRecord, facts: &FactsRow) -> Option<RefusalReason> {
    let left = u16::try_from(i64::from(Minutos::MAX) - facts.minutos_antes).unwrap_or_default();
    if !facts.existe_projeto {
        return Some(RefusalReason::UnknownProjeto(record.projeto.0.to_string()));
    }
    match facts.ativo {
        None => Some(RefusalReason::UnknownAtividade(record.atividade)),
        Some(false) => Some(RefusalReason::InactiveAtividade),
        Some(true) if left < record.minutos.get() => {
            Some(RefusalReason::DayFull { data: record.data, restantes: left })
        }
        Some(true) => None,
    }
}

async fn store(transaction: &DatabaseTransaction, json: &str, writes_back: bool) -> Result<Vec<ApontamentoRow>, DbErr> {
    let escrita = if writes_back { "pendente" } else { "desligada" };
    transaction
        .execute_raw(raw_sql!(
            Sqlite,
            r#"
            INSERT INTO work_items (organizacao, id, titulo, tipo, visto_em)
            SELECT value ->> 'organizacao', value ->> 'work_item_id', value ->> 'titulo', value ->> 'tipo', value ->> 'em'
            FROM json_each({json}) WHERE value ->> 'titulo' IS NOT NULL
            ON CONFLICT (organizacao, id) DO UPDATE
            SET titulo = excluded.titulo, tipo = excluded.tipo, visto_em = excluded.visto_em
            "#
        ))
        .await?;
    transaction
        .execute_raw(raw_sql!(
            Sqlite,
            r#"
            INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario,
                                      usuario_id, usuario_nome, usuario_email, verificado, criado_em,
                                      atualizado_em)
            SELECT value ->> 'id', value ->> 'id_projeto', value ->> 'id_atividade', value ->> 'work_item_id',
                   value ->> 'organizacao', value ->> 'data', value ->> 'minutos', value ->> 'comentario',
                   value ->> 'usuario_id', value ->> 'usuario_nome', value ->> 'usuario_email',
                   value ->> 'verificado', value ->> 'em', value ->> 'em'
            FROM json_each({json})
            "#
        ))
        .await?;
    let stored = ApontamentoRow::find_by_statement(raw_sql!(
        Sqlite,
        r#"
        SELECT e.id, e.work_item_id, w.titulo, w.tipo, e.id_projeto, p.nome AS nome_projeto, e.organizacao, e.data,
               e.minutos, e.id_atividade, a.nome AS nome_atividade, e.comentario, e.usuario_id, e.usuario_nome,
               e.usuario_email, {escrita} AS escrita, e.criado_em, e.atualizado_em
        FROM json_each({json}) r
        JOIN apontamentos e ON e.id = r.value ->> 'id'
        JOIN projetos p ON p.id = e.id_projeto
        JOIN atividades a ON a.id = e.id_atividade
        LEFT JOIN work_items w ON w.organizacao = e.organizacao AND w.id = e.work_item_id
        ORDER BY r.key
        "#
    ));
    stored.all(transaction).await
}

fn to_json(record: &ApontamentoRecord) -> Value {
    let visto = record.work_item_visto.as_ref();
    json!({
        "id": id_text(record.id.0),
        "work_item_id": record.work_item.get(),
        "titulo": visto.map(|visto| &visto.titulo),
        "tipo": visto.map(|visto| &visto.tipo),
        "id_projeto": id_text(record.projeto.0),
        "organizacao": record.organizacao,
        "data": date_text(record.data),
        "minutos": record.minutos.get(),
        "id_atividade": id_text(record.atividade.0),
        "comentario": record.comentario.as_ref().map(Comentario::as_str),
        "usuario_id": record.usuario.id,
        "usuario_nome": record.usuario.display_name,
        "usuario_email": record.usuario.email,
        "verificado": record.verificado,
        "em": microseconds(record.criado_em),
    })
}
