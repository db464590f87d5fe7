//! Periodic background jobs: which replica runs each, and when it last succeeded.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `iniciada_em` is empty if the job is due at once, `reservada_ate` if no replica runs it.
const UP: &str = r"
CREATE TABLE rotinas (
    nome varchar(100) NOT NULL,
    execucao uuid NOT NULL,
    iniciada_em timestamptz,
    reservada_ate timestamptz,
    concluida_em timestamptz,
    CONSTRAINT rotinas_pkey PRIMARY KEY (nome)
);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE rotinas").await.map(drop)
    }
}
