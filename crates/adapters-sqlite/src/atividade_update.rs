//! Updates of atividades.

use domain::{AtividadeId, AtividadePatch, Descricao, Error, NomeAtividade, search_key};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, raw_sql};
use serde_json::Value;
use time::OffsetDateTime;

use crate::SqliteDatabase;
use crate::atividade_row::{self, AtividadeRow};
use crate::value::{id_text, microseconds};

/// Changes the fields that `patch` has, and returns the row, or `None` if there is none. The row is read in the transaction,
/// because another update may follow at once.
pub(crate) async fn update(
    database: &SqliteDatabase,
    id: AtividadeId,
    patch: AtividadePatch,
    now: OffsetDateTime,
) -> Result<Result<Option<AtividadeRow>, Error>, DbErr> {
    let AtividadePatch { nome, descricao, ativo, projetos, expected } = patch;
    let (key, now, version) = (id_text(id.0), microseconds(now), expected.map(microseconds));
    let nome_busca = nome.as_ref().map(|nome| search_key(nome.as_str()));
    let nome = nome.map(NomeAtividade::into_string);
    let keep_descricao = descricao.is_absent();
    let descricao = descricao.into_value().map(Descricao::into_string);
    let projeto = projetos.as_ref().map(|projetos| id_text(projetos.first().0));
    let outros =
        projetos.map(|projetos| projetos.others().iter().map(|id| id_text(id.0)).collect::<Value>().to_string());
    let transaction = database.begin_immediate().await?;
    // An absent field is NULL. A comparison with NULL is NULL, which does not count as a difference.
    let updated = transaction
        .execute_raw(raw_sql!(
            Sqlite,
            r#"
            UPDATE atividades
            SET nome = coalesce({nome}, nome), nome_busca = coalesce({nome_busca}, nome_busca),
                descricao = CASE WHEN {keep_descricao} THEN descricao ELSE {descricao} END,
                ativo = coalesce({ativo}, ativo),
                id_projeto = coalesce({projeto}, id_projeto),
                atualizado_em = max({now}, atualizado_em + 1)
            WHERE id = {key} AND ({version} IS NULL OR atualizado_em = {version})
              AND (nome <> {nome} OR (NOT {keep_descricao} AND descricao IS NOT {descricao})
                   OR ativo <> {ativo} OR id_projeto <> {projeto}
                   OR {outros} <> (SELECT json_group_array(id_projeto ORDER BY lugar) FROM atividade_projetos
                                   WHERE id_atividade = {key}))
            "#
        ))
        .await?;
    let is_changed = updated.rows_affected() != 0;
    if let Some(outros) = outros.filter(|_| is_changed) {
        let delete = raw_sql!(Sqlite, "DELETE FROM atividade_projetos WHERE id_atividade = {key}");
        transaction.execute_raw(delete).await?;
        let insert = raw_sql!(
            Sqlite,
            "INSERT INTO atividade_projetos (id_atividade, id_projeto, lugar)
             SELECT {key}, value, key + 1 FROM json_each({outros})"
        );
        transaction.execute_raw(insert).await?;
    }
    let row = AtividadeRow::find_by_statement(atividade_row::find(id)).one(&transaction).await?;
    transaction.commit().await?;
    let is_other = |row: &AtividadeRow| version.is_some_and(|version| row.atualizado_em != version);
    if !is_changed && row.as_ref().is_some_and(is_other) {
        return Ok(Err(Error::VersionMismatch));
    }
    Ok(Ok(row))
}
