//! Projetos are listed in pages, in the order of their names without case and accents, so that order has an index.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Names that differ in case or accents alone are ordered by their code points, and equal ones by id.
const UP: &str = r#"
ALTER TABLE projetos ADD COLUMN nome_busca text COLLATE "C" NOT NULL GENERATED ALWAYS AS (sem_acentos(nome)) STORED;
CREATE INDEX projetos_nome_busca_idx ON projetos (nome_busca, nome COLLATE "C", id);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("ALTER TABLE projetos DROP COLUMN nome_busca").await.map(drop)
    }
}
