//! Atividades, each of one projeto.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `nome_busca` is what is looked for and ordered by where case and accents do not count: the decomposed name (NFD)
/// without combining marks, in lower case by Unicode's rules whatever the locale of the database (ICU's root locale).
///
/// An index for each way to list, in the order of the list, so that a page is read and not sorted. The one by projeto
/// also serves the foreign key when a projeto is deleted.
const UP: &str = r#"
CREATE FUNCTION sem_acentos(texto text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(
        regexp_replace(
            normalize(texto, NFD) COLLATE "C",
            '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g'
        ) COLLATE "und-x-icu"
    );
CREATE TABLE atividades (
    id uuid NOT NULL,
    nome varchar(255) NOT NULL,
    nome_busca text COLLATE "C" NOT NULL GENERATED ALWAYS AS (sem_acentos(nome)) STORED,
    descricao text,
    ativo boolean NOT NULL DEFAULT true,
    id_projeto uuid NOT NULL,
    criado_por varchar(255),
    criado_em timestamptz NOT NULL,
    atualizado_em timestamptz NOT NULL,
    CONSTRAINT atividades_pkey PRIMARY KEY (id),
    CONSTRAINT atividades_id_projeto_fkey FOREIGN KEY (id_projeto) REFERENCES projetos (id) ON DELETE RESTRICT,
    CONSTRAINT atividades_nome_check CHECK (nome <> '' AND nome = btrim(nome, E' \t\n\x0b\f\r')),
    CONSTRAINT atividades_descricao_check CHECK (octet_length(descricao) <= 65536),
    CONSTRAINT atividades_atualizado_em_check CHECK (atualizado_em >= criado_em)
);
CREATE INDEX atividades_criado_em_idx ON atividades (criado_em DESC, id DESC);
CREATE INDEX atividades_atualizado_em_idx ON atividades (atualizado_em DESC, id DESC);
CREATE INDEX atividades_nome_busca_idx ON atividades (nome_busca, id);
CREATE INDEX atividades_ativo_criado_em_idx ON atividades (ativo, criado_em DESC, id DESC);
CREATE INDEX atividades_id_projeto_criado_em_idx ON atividades (id_projeto, criado_em DESC, id DESC);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let down = "DROP TABLE atividades; DROP FUNCTION sem_acentos";
        manager.get_connection().execute_unprepared(down).await.map(drop)
    }
}
