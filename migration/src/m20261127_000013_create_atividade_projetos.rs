//! The projetos of an atividade after the first, which stays in `atividades.id_projeto`. ADR 0073 has the reasons.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = r"
CREATE TABLE atividade_projetos (
    id_atividade uuid NOT NULL,
    id_projeto uuid NOT NULL,
    lugar smallint NOT NULL,
    CONSTRAINT atividade_projetos_pkey PRIMARY KEY (id_atividade, id_projeto),
    CONSTRAINT atividade_projetos_lugar_key UNIQUE (id_atividade, lugar),
    CONSTRAINT atividade_projetos_lugar_check CHECK (lugar BETWEEN 1 AND 99),
    CONSTRAINT atividade_projetos_id_atividade_fkey FOREIGN KEY (id_atividade)
        REFERENCES atividades (id) ON DELETE CASCADE,
    CONSTRAINT atividade_projetos_id_projeto_fkey FOREIGN KEY (id_projeto)
        REFERENCES projetos (id) ON DELETE RESTRICT
);
CREATE INDEX atividade_projetos_id_projeto_idx ON atividade_projetos (id_projeto);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    /// Each atividade keeps its first projeto, the only one that earlier versions know.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE atividade_projetos").await.map(drop)
    }
}
