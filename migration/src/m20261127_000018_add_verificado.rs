//! Time entries on work items that their owner has not seen in Azure DevOps yet. ADR 0096 has the reasons.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A constant default rewrites no row. The index has the few entries that wait.
const UP: &str = r"
ALTER TABLE apontamentos ADD COLUMN verificado boolean NOT NULL DEFAULT true;
CREATE INDEX apontamentos_nao_verificado_idx ON apontamentos (usuario_id) WHERE NOT verificado;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("ALTER TABLE apontamentos DROP COLUMN verificado").await.map(drop)
    }
}
