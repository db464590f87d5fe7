//! The final sigma is the same letter as the sigma within a word: a search for a part of a word finds both.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// ICU lowers a Σ at the end of a word to ς, and the text of a search ends where no word ends.
const UP: &str = r#"
CREATE OR REPLACE FUNCTION sem_acentos(texto text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN translate(
        lower(
            regexp_replace(
                normalize(texto, NFD) COLLATE "C",
                '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g'
            ) COLLATE "und-x-icu"
        ),
        'ς', 'σ'
    );
"#;

const DOWN: &str = r#"
CREATE OR REPLACE FUNCTION sem_acentos(texto text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(
        regexp_replace(
            normalize(texto, NFD) COLLATE "C",
            '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g'
        ) COLLATE "und-x-icu"
    );
"#;

/// Computes the generated columns of names with a sigma again. Other names keep theirs.
const RECOMPUTE: &str = "
UPDATE atividades SET nome = nome WHERE nome_busca ~ '[ςσ]';
UPDATE projetos SET nome = nome WHERE nome_busca ~ '[ςσ]';
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(&format!("{UP}{RECOMPUTE}")).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(&format!("{DOWN}{RECOMPUTE}")).await.map(drop)
    }
}
