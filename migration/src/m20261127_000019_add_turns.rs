//! Whose turn a pending work item is in, and when its hours could last not be written. ADR 0097 has the reasons.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = "ALTER TABLE escritas ADD COLUMN usuario_id text, ADD COLUMN falhou_em timestamptz";
const DOWN: &str = "ALTER TABLE escritas DROP COLUMN usuario_id, DROP COLUMN falhou_em";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
