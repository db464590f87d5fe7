//! How many atividades there are, kept beside them: counting a million rows for each page takes longer than the page.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The sum over all `parte` is exact in every snapshot, because the transaction that writes atividades writes it as well.
/// A row without a projeto counts all of them.
///
/// One row for each number would make all writers wait for each other, so each number has sixteen parts, and a
/// transaction takes one that nobody else holds. It holds it until its end: whoever has a part waits for no row of it,
/// which is why two writers cannot come to wait for each other. Only when all parts are taken does it wait for one.
///
/// Triggers name the tables with their schema: whoever writes may have another `search_path`. Space in the pages lets an
/// update stay in its page, where the next one clears up after it without VACUUM.
const UP: &str = r"
CREATE TABLE atividades_contagem (
    id_projeto uuid,
    ativo boolean NOT NULL,
    parte smallint NOT NULL,
    total bigint NOT NULL,
    CONSTRAINT atividades_contagem_key UNIQUE NULLS NOT DISTINCT (id_projeto, ativo, parte),
    CONSTRAINT atividades_contagem_id_projeto_fkey FOREIGN KEY (id_projeto) REFERENCES projetos (id) ON DELETE CASCADE
) WITH (fillfactor = 20);

LOCK TABLE atividades IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO atividades_contagem (id_projeto, ativo, parte, total)
SELECT id_projeto, ativo, 0, count(*) FROM atividades GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo));

DO $do$ BEGIN EXECUTE replace($sql$
CREATE FUNCTION §.contar_atividades() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    minha CONSTANT integer := pg_backend_pid() % 16;
    livre integer;
BEGIN
    FOR passo IN 0..15 LOOP
        livre := (minha + passo) % 16;
        EXIT WHEN pg_try_advisory_xact_lock((TG_RELID::bigint << 8) + livre);
        livre := NULL;
    END LOOP;
    IF livre IS NULL THEN
        livre := minha;
        PERFORM pg_advisory_xact_lock((TG_RELID::bigint << 8) + livre);
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO §.atividades_contagem AS c (id_projeto, ativo, parte, total)
        SELECT id_projeto, ativo, livre, count(*) FROM novas GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo))
        ON CONFLICT ON CONSTRAINT atividades_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO §.atividades_contagem AS c (id_projeto, ativo, parte, total)
        SELECT id_projeto, ativo, livre, -count(*) FROM velhas GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo))
        ON CONFLICT ON CONSTRAINT atividades_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;
    ELSIF TG_OP = 'TRUNCATE' THEN
        DELETE FROM §.atividades_contagem;
    ELSE
        INSERT INTO §.atividades_contagem AS c (id_projeto, ativo, parte, total)
        SELECT id_projeto, ativo, livre, sum(n)
        FROM (SELECT id_projeto, ativo, 1 AS n FROM novas UNION ALL SELECT id_projeto, ativo, -1 FROM velhas) mudadas
        GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo)) HAVING sum(n) <> 0
        ON CONFLICT ON CONSTRAINT atividades_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;
    END IF;
    RETURN NULL;
END $body$
$sql$, '§', quote_ident(current_schema())); END $do$;

CREATE TRIGGER atividades_contagem_insert AFTER INSERT ON atividades
    REFERENCING NEW TABLE AS novas FOR EACH STATEMENT EXECUTE FUNCTION contar_atividades();
CREATE TRIGGER atividades_contagem_update AFTER UPDATE ON atividades
    REFERENCING OLD TABLE AS velhas NEW TABLE AS novas FOR EACH STATEMENT EXECUTE FUNCTION contar_atividades();
CREATE TRIGGER atividades_contagem_delete AFTER DELETE ON atividades
    REFERENCING OLD TABLE AS velhas FOR EACH STATEMENT EXECUTE FUNCTION contar_atividades();
CREATE TRIGGER atividades_contagem_truncate AFTER TRUNCATE ON atividades
    FOR EACH STATEMENT EXECUTE FUNCTION contar_atividades();
";

const DOWN: &str = r"
DROP TRIGGER atividades_contagem_insert ON atividades;
DROP TRIGGER atividades_contagem_update ON atividades;
DROP TRIGGER atividades_contagem_delete ON atividades;
DROP TRIGGER atividades_contagem_truncate ON atividades;
DROP FUNCTION contar_atividades();
DROP TABLE atividades_contagem;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
