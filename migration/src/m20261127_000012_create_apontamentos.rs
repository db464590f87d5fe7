//! Time entries, and the work items to which they belong as somebody last saw them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// An index for each way to list, in the order of the list: newest date first, then newest. The one by person also serves the
/// sum of a day, those by projeto and atividade their foreign keys. Nothing refers to `work_items`, because an entry is
/// also kept while Azure DevOps cannot be asked.
const UP: &str = r"
CREATE TABLE work_items (
    organizacao varchar(255) NOT NULL,
    id integer NOT NULL,
    titulo text NOT NULL,
    tipo text NOT NULL,
    visto_em timestamptz NOT NULL,
    CONSTRAINT work_items_pkey PRIMARY KEY (organizacao, id)
);
CREATE TABLE apontamentos (
    id uuid NOT NULL,
    id_projeto uuid NOT NULL,
    id_atividade uuid NOT NULL,
    work_item_id integer NOT NULL,
    organizacao varchar(255) NOT NULL,
    data date NOT NULL,
    minutos smallint NOT NULL,
    comentario text,
    usuario_id text NOT NULL,
    usuario_nome text NOT NULL,
    usuario_email text,
    criado_em timestamptz NOT NULL,
    atualizado_em timestamptz NOT NULL,
    CONSTRAINT apontamentos_pkey PRIMARY KEY (id),
    CONSTRAINT apontamentos_id_projeto_fkey FOREIGN KEY (id_projeto) REFERENCES projetos (id) ON DELETE RESTRICT,
    CONSTRAINT apontamentos_id_atividade_fkey FOREIGN KEY (id_atividade) REFERENCES atividades (id) ON DELETE RESTRICT,
    CONSTRAINT apontamentos_work_item_id_check CHECK (work_item_id > 0),
    CONSTRAINT apontamentos_minutos_check CHECK (minutos BETWEEN 1 AND 1499),
    CONSTRAINT apontamentos_comentario_check CHECK (char_length(comentario) BETWEEN 1 AND 500),
    CONSTRAINT apontamentos_atualizado_em_check CHECK (atualizado_em >= criado_em)
);
CREATE INDEX apontamentos_data_idx ON apontamentos (data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_usuario_id_data_idx ON apontamentos (usuario_id, data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_usuario_email_data_idx
    ON apontamentos (lower(usuario_email), data DESC, criado_em DESC, id DESC) WHERE usuario_email IS NOT NULL;
CREATE INDEX apontamentos_work_item_id_data_idx ON apontamentos (work_item_id, data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_id_projeto_data_idx ON apontamentos (id_projeto, data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_id_atividade_data_idx ON apontamentos (id_atividade, data DESC, criado_em DESC, id DESC);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let down = "DROP TABLE apontamentos; DROP TABLE work_items";
        manager.get_connection().execute_unprepared(down).await.map(drop)
    }
}
