//! Drops the index of atividades by `ativo`, which no list needs: the filter leaves at least a third of a catalogue, so the
//! index by `criado_em` finds a page as fast. ADR 0030 has the measurements.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const DOWN: &str = "CREATE INDEX atividades_ativo_criado_em_idx ON atividades (ativo, criado_em DESC, id DESC)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX atividades_ativo_criado_em_idx").await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
