//! Keys of requests that count once, each with its response.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `resposta` is filled in by the transaction that makes the row, so no other transaction sees it empty.
const UP: &str = r"
CREATE TABLE idempotencia (
    usuario varchar NOT NULL,
    chave varchar(255) NOT NULL,
    pedido bytea NOT NULL,
    resposta jsonb,
    criado_em timestamptz NOT NULL,
    CONSTRAINT idempotencia_pkey PRIMARY KEY (usuario, chave),
    CONSTRAINT idempotencia_pedido_check CHECK (octet_length(pedido) = 32)
);
CREATE INDEX idempotencia_criado_em_idx ON idempotencia (criado_em);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE idempotencia").await.map(drop)
    }
}
