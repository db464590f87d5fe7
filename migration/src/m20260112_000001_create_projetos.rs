//! Projetos: those of Azure DevOps under Azure's own GUID, and those that exist only here.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The checks say what the domain says, for rows that come by another way. White space is ASCII's here: the domain
/// knows Unicode's as well.
const UP: &str = r"
CREATE TABLE projetos (
    id uuid NOT NULL,
    nome varchar(255) NOT NULL,
    azure_project_id varchar,
    descricao text,
    url text,
    estado varchar,
    sincronizado_em timestamptz,
    criado_em timestamptz NOT NULL,
    atualizado_em timestamptz NOT NULL,
    CONSTRAINT projetos_pkey PRIMARY KEY (id),
    CONSTRAINT projetos_azure_project_id_key UNIQUE (azure_project_id),
    CONSTRAINT projetos_azure_project_id_check CHECK (azure_project_id IS NULL OR azure_project_id = id::text),
    CONSTRAINT projetos_nome_check CHECK (nome <> '' AND nome = btrim(nome, E' \t\n\x0b\f\r')),
    CONSTRAINT projetos_descricao_check CHECK (octet_length(descricao) <= 65536),
    CONSTRAINT projetos_sincronizado_em_check CHECK ((sincronizado_em IS NULL) = (azure_project_id IS NULL)),
    CONSTRAINT projetos_atualizado_em_check CHECK (atualizado_em >= criado_em)
)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE projetos").await.map(drop)
    }
}
