//! No triggers, no kept totals, no PL/pgSQL: they broke logical replication (tables without a primary key), renamed schemas
//! (names frozen into functions), data-only restores (rows counted twice) and databases with another default isolation.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The release before this step reads the kept totals. Views give it the same numbers, counted when they are read, and
/// ranges that are never cut, without which it lists in the slow way.
const DOWN: &str = r"
CREATE VIEW atividades_contagem AS
    SELECT id_projeto, ativo, 0::smallint AS parte, count(*) AS total
    FROM atividades GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo));
CREATE VIEW atividades_faixas AS
    SELECT NULL::integer AS faixa, NULL::timestamptz AS criado_em, NULL::uuid AS id WHERE false;
CREATE VIEW atividades_faixas_contagem AS
    SELECT NULL::integer AS faixa, NULL::uuid AS id_projeto, NULL::boolean AS ativo, NULL::smallint AS parte,
           NULL::bigint AS total WHERE false;
CREATE FUNCTION fechar_faixa(tamanho integer) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
";

/// What the release before created, as tables with triggers, or what `DOWN` put in its place, as views.
pub(super) async fn drop_counting(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let kept = Query::select()
        .expr(Expr::cust("relname::text"))
        .expr(Expr::cust("relkind = 'v'"))
        .from(Alias::new("pg_class"))
        .and_where(Expr::cust("relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"))
        .and_where(Expr::cust("relname IN ('atividades_contagem', 'atividades_faixas', 'atividades_faixas_contagem')"))
        .to_owned();
    let triggers = ["insert", "update", "delete", "truncate"]
        .map(|event| format!("DROP TRIGGER IF EXISTS atividades_contagem_{event} ON atividades;"));
    connection.execute_unprepared(&triggers.concat()).await?;
    for row in connection.query_all(&kept).await? {
        let (name, is_view): (String, bool) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let kind = if is_view { "VIEW" } else { "TABLE" };
        connection.execute_unprepared(&format!("DROP {kind} {name}")).await?;
    }
    let functions = "DROP FUNCTION IF EXISTS contar_novas(); DROP FUNCTION IF EXISTS contar_atividades();
                     DROP FUNCTION IF EXISTS fechar_faixa(integer);";
    connection.execute_unprepared(functions).await.map(drop)
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_counting(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
