//! A statement that creates one atividade, as almost all do, is counted without grouping: the trigger of the step before
//! took half as long as all the rest of it.

use sea_orm_migration::prelude::*;

use super::m20261123_000004_count_atividades::{AFTER, COUNT};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// What is counted, and under which lock, is as in the step before; so is why. A part that is held by nobody else has
/// rows that nobody else writes, which is why they can be updated and, if there are none yet, inserted.
const UP: &str = r"
DO $do$ BEGIN EXECUTE replace($sql$
CREATE FUNCTION §.contar_novas() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    livre integer := pg_backend_pid() % 16;
    tabela CONSTANT bigint := TG_RELID::bigint << 8;
    nova record;
    cheia integer;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE 'atividades are written in transactions of isolation level READ COMMITTED'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    IF NOT pg_try_advisory_xact_lock(tabela + livre) THEN
        FOR passo IN 1..15 LOOP
            livre := (pg_backend_pid() + passo) % 16;
            EXIT WHEN pg_try_advisory_xact_lock(tabela + livre);
            livre := NULL;
        END LOOP;
        IF livre IS NULL THEN
            livre := pg_backend_pid() % 16;
            PERFORM pg_advisory_xact_lock(tabela + livre);
        END IF;
    END IF;
    IF EXISTS (SELECT FROM novas OFFSET 1) THEN
        {COUNT}
        RETURN NULL;
    END IF;
    SELECT criado_em, id, id_projeto, ativo INTO nova FROM novas;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE §.atividades_contagem SET total = total + 1
    WHERE id_projeto = nova.id_projeto AND ativo = nova.ativo AND parte = livre;
    IF NOT FOUND THEN
        INSERT INTO §.atividades_contagem (id_projeto, ativo, parte, total)
        VALUES (nova.id_projeto, nova.ativo, livre, 1);
    END IF;
    UPDATE §.atividades_contagem SET total = total + 1
    WHERE id_projeto IS NULL AND ativo = nova.ativo AND parte = livre;
    IF NOT FOUND THEN
        INSERT INTO §.atividades_contagem (id_projeto, ativo, parte, total) VALUES (NULL, nova.ativo, livre, 1);
    END IF;
    SELECT faixa INTO cheia FROM §.atividades_faixas
    WHERE (criado_em, id) >= (nova.criado_em, nova.id) ORDER BY criado_em, id LIMIT 1;
    IF FOUND THEN
        INSERT INTO §.atividades_faixas_contagem AS c (faixa, id_projeto, ativo, parte, total)
        VALUES (cheia, nova.id_projeto, nova.ativo, livre, 1), (cheia, NULL, nova.ativo, livre, 1)
        ON CONFLICT ON CONSTRAINT atividades_faixas_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;
    END IF;
    RETURN NULL;
END $body$;
$sql$, '§', quote_ident(current_schema())); END $do$;

DROP TRIGGER atividades_contagem_insert ON atividades;
CREATE TRIGGER atividades_contagem_insert AFTER INSERT ON atividades
    REFERENCING NEW TABLE AS novas FOR EACH STATEMENT EXECUTE FUNCTION contar_novas();
";

const DOWN: &str = r"
DROP TRIGGER atividades_contagem_insert ON atividades;
CREATE TRIGGER atividades_contagem_insert AFTER INSERT ON atividades
    REFERENCING NEW TABLE AS novas FOR EACH STATEMENT EXECUTE FUNCTION contar_atividades();
DROP FUNCTION contar_novas();
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let up = UP.replace("{COUNT}", &COUNT.replace("MUDADAS", AFTER));
        manager.get_connection().execute_unprepared(&up).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
