//! Updating atividades.

use std::collections::HashSet;

use domain::{AtividadeId, AtividadePatch, Descricao, Error, NomeAtividade, ProjetoRefs};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult, QueryFilter as _, QuerySelect as _,
    raw_sql,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::atividade_row::{AtividadeRow, select};
use crate::entity::{atividade, atividade_projeto, projeto};
use crate::operation::Transaction;
use crate::{PostgresDatabase, db_error};

const OPERATION: &str = "atividades.update";
const MAX_STATEMENTS: u32 = 6;

/// Changes the fields that `patch` has, and returns the row, or `None` if there is none.
pub(crate) async fn update(
    database: &PostgresDatabase,
    id: AtividadeId,
    patch: AtividadePatch,
    now: OffsetDateTime,
) -> Result<Option<AtividadeRow>, Error> {
    let updated = match patch.projetos {
        None => match update_fields(&database.write(OPERATION), id, patch.clone(), now).await {
            // Unchanged values, another version, no such row, or a concurrent update came first.
            Ok(None) => update_locked(database, id, patch, now).await,
            updated => updated.map(Ok),
        },
        Some(_) => update_locked(database, id, patch, now).await,
    };
    updated.map_err(|error| db_error::into_domain(&error))?
}

/// Updates in a transaction, and also replaces the projetos. The lock of the row makes concurrent updates run one after the
/// other, and statements after it see what the previous one changed.
async fn update_locked(
    database: &PostgresDatabase,
    id: AtividadeId,
    patch: AtividadePatch,
    now: OffsetDateTime,
) -> Result<Result<Option<AtividadeRow>, Error>, DbErr> {
    let transaction = database.begin(OPERATION, MAX_STATEMENTS).await?;
    // Not FOR UPDATE, for which inserts of rows that refer to the atividade would wait.
    let lock = atividade::Entity::find_by_id(id.0).select_only().column(atividade::Column::Id);
    if lock.lock(LockType::NoKeyUpdate).into_tuple::<Uuid>().one(&transaction).await?.is_none() {
        transaction.rollback().await?;
        return Ok(Ok(None));
    }
    let projetos = patch.projetos.clone();
    if let Some(projetos) = &projetos {
        let known = lock_known(&transaction, projetos).await?;
        let unknown = projetos.unknown(|projeto| known.contains(&projeto.0));
        if !unknown.is_empty() {
            transaction.rollback().await?;
            return Ok(Err(Error::Invalid(unknown)));
        }
    }
    let expected = patch.expected;
    let is_changed = update_fields(&transaction, id, patch, now).await?.is_some();
    if let Some(projetos) = projetos.filter(|_| is_changed) {
        replace_others(&transaction, id, &projetos).await?;
    }
    let row: Option<AtividadeRow> =
        select().filter(atividade::Column::Id.eq(id.0)).into_model().one(&transaction).await?;
    transaction.commit().await?;
    let is_other = |row: &AtividadeRow| expected.is_some_and(|expected| row.atualizado_em != expected);
    if !is_changed && row.as_ref().is_some_and(is_other) {
        return Ok(Err(Error::VersionMismatch));
    }
    Ok(Ok(row))
}

/// Returns those of `projetos` that exist. They cannot be deleted until the transaction ends.
async fn lock_known(transaction: &Transaction<'_>, projetos: &ProjetoRefs) -> Result<HashSet<Uuid>, DbErr> {
    let ids: Vec<_> = projetos.iter().map(|projeto| projeto.0).collect();
    let known = projeto::Entity::find().select_only().column(projeto::Column::Id);
    let known = known.filter(Expr::col(projeto::Column::Id).eq(PgFunc::any(ids))).lock(LockType::KeyShare);
    Ok(known.into_tuple().all(transaction).await?.into_iter().collect())
}

async fn replace_others(transaction: &Transaction<'_>, id: AtividadeId, projetos: &ProjetoRefs) -> Result<(), DbErr> {
    use atividade_projeto::{ActiveModel, Column, Entity};
    Entity::delete_many().filter(Column::IdAtividade.eq(id.0)).exec(transaction).await?;
    let link = |(lugar, projeto): (i16, &domain::ProjetoRef)| ActiveModel {
        id_atividade: Set(id.0),
        id_projeto: Set(projeto.0),
        lugar: Set(lugar),
    };
    let links: Vec<_> = (1..).zip(projetos.others()).map(link).collect();
    if !links.is_empty() {
        Entity::insert_many(links).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Changes the row in `atividades` if a field of `patch` differs, also if only the other projetos do. Changes nothing if a
/// concurrent update came first: PostgreSQL would apply this one to the new row, and read its projetos as they were before.
async fn update_fields(
    connection: &impl ConnectionTrait,
    id: AtividadeId,
    patch: AtividadePatch,
    now: OffsetDateTime,
) -> Result<Option<AtividadeRow>, DbErr> {
    let AtividadePatch { nome, descricao, ativo, projetos, expected } = patch;
    let (nome, projeto) = (nome.map(NomeAtividade::into_string), projetos.as_ref().map(|projetos| projetos.first().0));
    let others = projetos.iter().flat_map(ProjetoRefs::others);
    let others: Vec<_> = others.map(|projeto| projeto.0).collect();
    let keep_descricao = descricao.is_absent();
    let descricao = descricao.into_value().map(Descricao::into_string);
    let key = id.0;
    // An absent field is NULL in `novo`; a comparison with it is NULL, which is no difference.
    let changed = AtividadeRow::find_by_statement(raw_sql!(
        Postgres,
        r#"UPDATE atividades a
           SET nome = COALESCE(novo.nome, a.nome),
               descricao = CASE WHEN novo.keep_descricao THEN a.descricao ELSE novo.descricao END,
               ativo = COALESCE(novo.ativo, a.ativo),
               id_projeto = COALESCE(novo.id_projeto, a.id_projeto),
               atualizado_em = GREATEST(novo.atualizado_em, a.atualizado_em + interval '1 microsecond')
           FROM (
               SELECT {nome}::varchar AS nome, {descricao}::text AS descricao,
                      {keep_descricao}::boolean AS keep_descricao, {ativo}::boolean AS ativo,
                      {projeto}::uuid AS id_projeto, {others}::uuid[] AS outros, {now}::timestamptz AS atualizado_em,
                      {expected}::timestamptz AS expected
           ) novo
           WHERE a.id = {key} AND (novo.expected IS NULL OR a.atualizado_em = novo.expected)
             AND a.atualizado_em = (SELECT lida.atualizado_em FROM atividades lida WHERE lida.id = a.id)
             AND (a.nome <> novo.nome
                  OR (NOT novo.keep_descricao AND a.descricao IS DISTINCT FROM novo.descricao)
                  OR a.ativo <> novo.ativo
                  OR a.id_projeto <> novo.id_projeto
                  OR (novo.id_projeto IS NOT NULL AND novo.outros <> ARRAY(
                      SELECT l.id_projeto FROM atividade_projetos l WHERE l.id_atividade = a.id ORDER BY l.lugar)))
           RETURNING a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.criado_por, a.criado_em, a.atualizado_em,
                     (SELECT p.nome FROM projetos p WHERE p.id = a.id_projeto) AS nome_projeto,
                     (SELECT jsonb_agg(jsonb_build_object('id', p.id, 'nome', p.nome) ORDER BY l.lugar)
                      FROM atividade_projetos l JOIN projetos p ON p.id = l.id_projeto
                      WHERE l.id_atividade = a.id) AS outros_projetos"#
    ));
    changed.one(connection).await
}
