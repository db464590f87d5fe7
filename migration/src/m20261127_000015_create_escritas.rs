//! Work items whose hours are written to Azure DevOps.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `proxima_em` is NULL where there is nothing to do, `motivo` where nothing failed. The known hours and the attempt whose
/// result is unknown are each stored wholly or not at all.
const UP: &str = r"
CREATE TABLE escritas (
    organizacao varchar(255) NOT NULL,
    work_item_id integer NOT NULL,
    versao bigint NOT NULL DEFAULT 1,
    pendente_desde timestamptz,
    proxima_em timestamptz,
    tentativas integer NOT NULL DEFAULT 0,
    reserva uuid,
    motivo text,
    rev bigint,
    completed_work double precision,
    manual double precision,
    minutos bigint,
    tentativa_rev bigint,
    tentativa_completed_work double precision,
    tentativa_manual double precision,
    tentativa_minutos bigint,
    CONSTRAINT escritas_pkey PRIMARY KEY (organizacao, work_item_id),
    CONSTRAINT escritas_estado_check CHECK (
        (pendente_desde IS NULL) = (proxima_em IS NULL) AND (motivo IS NULL OR proxima_em IS NULL)
    ),
    CONSTRAINT escritas_motivo_check CHECK (
        motivo IN ('inexistente', 'encerrado', 'regra', 'sem_permissao', 'sem_resposta')
    ),
    CONSTRAINT escritas_conhecido_check CHECK (num_nulls(rev, completed_work, manual, minutos) IN (0, 4)),
    CONSTRAINT escritas_tentativa_check CHECK (
        num_nulls(tentativa_rev, tentativa_completed_work, tentativa_manual, tentativa_minutos) IN (0, 4)
    )
);
CREATE INDEX escritas_proxima_em_idx ON escritas (proxima_em) WHERE proxima_em IS NOT NULL;
CREATE INDEX escritas_motivo_idx ON escritas (motivo) WHERE motivo IS NOT NULL;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE escritas").await.map(drop)
    }
}
