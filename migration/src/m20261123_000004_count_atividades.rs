//! How many atividades there are, and where among them a page lies, kept beside them: counting a million rows for each
//! page takes longer than the page.

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
/// The order of creation is cut into ranges (`faixas`), each known by its last atividade and counted in the same way, so
/// that skipping many means passing over ranges and not over rows. What is newer than the last range is in none, which
/// is why a new atividade costs no more than a look. `fechar_faixa` cuts: it holds all parts, so no writer has yet to
/// count what it has written, and those who come after see the new range. A snapshot that is older than the cut would
/// not, so nobody writes with one.
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
CREATE TABLE atividades_faixas (
    faixa integer GENERATED ALWAYS AS IDENTITY,
    criado_em timestamptz NOT NULL,
    id uuid NOT NULL,
    CONSTRAINT atividades_faixas_pkey PRIMARY KEY (faixa),
    CONSTRAINT atividades_faixas_fim_key UNIQUE (criado_em, id)
);
CREATE TABLE atividades_faixas_contagem (
    faixa integer NOT NULL,
    id_projeto uuid,
    ativo boolean NOT NULL,
    parte smallint NOT NULL,
    total bigint NOT NULL,
    CONSTRAINT atividades_faixas_contagem_key UNIQUE NULLS NOT DISTINCT (id_projeto, faixa, ativo, parte),
    CONSTRAINT atividades_faixas_contagem_id_projeto_fkey
        FOREIGN KEY (id_projeto) REFERENCES projetos (id) ON DELETE CASCADE
);

LOCK TABLE atividades IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO atividades_contagem (id_projeto, ativo, parte, total)
SELECT id_projeto, ativo, 0, count(*) FROM atividades GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo));

DO $do$ BEGIN EXECUTE replace($sql$
CREATE FUNCTION §.contar_atividades() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    minha CONSTANT integer := pg_backend_pid() % 16;
    livre integer;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE 'atividades are written in transactions of isolation level READ COMMITTED'
            USING ERRCODE = 'feature_not_supported';
    END IF;
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
        {INSERT}
    ELSIF TG_OP = 'DELETE' THEN
        {DELETE}
    ELSIF TG_OP = 'UPDATE' THEN
        {UPDATE}
    ELSE
        DELETE FROM §.atividades_contagem;
        DELETE FROM §.atividades_faixas_contagem;
        DELETE FROM §.atividades_faixas;
    END IF;
    RETURN NULL;
END $body$;

CREATE FUNCTION §.fechar_faixa(tamanho integer) RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '100ms' AS $body$
DECLARE
    tabela CONSTANT bigint := (SELECT tableoid::bigint << 8 FROM §.atividades LIMIT 1);
    cheia record;
    inicio record;
    fim record;
    nova integer;
BEGIN
    IF NOT COALESCE(pg_try_advisory_xact_lock(tabela + 16), false) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(tabela + parte) FROM generate_series(0, 15) parte;
    WITH faixas AS (
        SELECT faixa, sum(total) AS total FROM §.atividades_faixas_contagem WHERE id_projeto IS NULL GROUP BY faixa
    ), depois AS (
        SELECT sum(total) - (SELECT COALESCE(sum(total), 0) FROM faixas) AS total
        FROM §.atividades_contagem WHERE id_projeto IS NULL
    )
    SELECT * INTO cheia
    FROM (SELECT faixa, total FROM faixas UNION ALL SELECT NULL, total FROM depois) todas
    WHERE 2 * tamanho <= total LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT f.criado_em, f.id INTO inicio
    FROM §.atividades_faixas f LEFT JOIN §.atividades_faixas c ON c.faixa = cheia.faixa
    WHERE c.faixa IS NULL OR (f.criado_em, f.id) < (c.criado_em, c.id)
    ORDER BY f.criado_em DESC, f.id DESC LIMIT 1;
    SELECT a.criado_em, a.id INTO fim
    FROM §.atividades a
    WHERE (a.criado_em, a.id) > (COALESCE(inicio.criado_em, '-infinity'), COALESCE(inicio.id, §NIL))
    ORDER BY a.criado_em, a.id OFFSET tamanho - 1 LIMIT 1;
    INSERT INTO §.atividades_faixas (criado_em, id) VALUES (fim.criado_em, fim.id) RETURNING faixa INTO nova;
    INSERT INTO §.atividades_faixas_contagem (faixa, id_projeto, ativo, parte, total)
    SELECT nova, a.id_projeto, a.ativo, 0, count(*)
    FROM §.atividades a
    WHERE (a.criado_em, a.id) > (COALESCE(inicio.criado_em, '-infinity'), COALESCE(inicio.id, §NIL))
      AND (a.criado_em, a.id) <= (fim.criado_em, fim.id)
    GROUP BY GROUPING SETS ((a.id_projeto, a.ativo), (a.ativo));
    IF cheia.faixa IS NOT NULL THEN
        INSERT INTO §.atividades_faixas_contagem AS c (faixa, id_projeto, ativo, parte, total)
        SELECT cheia.faixa, id_projeto, ativo, 0, -total FROM §.atividades_faixas_contagem WHERE faixa = nova
        ON CONFLICT ON CONSTRAINT atividades_faixas_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;
    END IF;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $body$;
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

/// Counts what a statement changed, in all and in the ranges. `MUDADAS` are the rows before (`n` is -1) and after (1).
pub(super) const COUNT: &str = r"
        INSERT INTO §.atividades_contagem AS c (id_projeto, ativo, parte, total)
        SELECT id_projeto, ativo, livre, sum(n) FROM (MUDADAS) m
        GROUP BY GROUPING SETS ((id_projeto, ativo), (ativo)) HAVING sum(n) <> 0
        ON CONFLICT ON CONSTRAINT atividades_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;
        INSERT INTO §.atividades_faixas_contagem AS c (faixa, id_projeto, ativo, parte, total)
        SELECT faixa, id_projeto, ativo, livre, sum(n)
        FROM (MUDADAS) m, LATERAL (
            SELECT f.faixa FROM §.atividades_faixas f WHERE (f.criado_em, f.id) >= (m.criado_em, m.id)
            ORDER BY f.criado_em, f.id LIMIT 1
        ) f
        GROUP BY GROUPING SETS ((faixa, id_projeto, ativo), (faixa, ativo)) HAVING sum(n) <> 0
        ON CONFLICT ON CONSTRAINT atividades_faixas_contagem_key DO UPDATE SET total = c.total + EXCLUDED.total;";
pub(super) const AFTER: &str = "SELECT criado_em, id, id_projeto, ativo, 1 AS n FROM novas";
const BEFORE: &str = "SELECT criado_em, id, id_projeto, ativo, -1 AS n FROM velhas";
/// The smallest id there can be.
const NIL: &str = "'00000000-0000-0000-0000-000000000000'";

const DOWN: &str = r"
DROP TRIGGER atividades_contagem_insert ON atividades;
DROP TRIGGER atividades_contagem_update ON atividades;
DROP TRIGGER atividades_contagem_delete ON atividades;
DROP TRIGGER atividades_contagem_truncate ON atividades;
DROP FUNCTION contar_atividades();
DROP FUNCTION fechar_faixa(integer);
DROP TABLE atividades_contagem;
DROP TABLE atividades_faixas_contagem;
DROP TABLE atividades_faixas;
";

fn up() -> String {
    let both = format!("{AFTER} UNION ALL {BEFORE}");
    [("{INSERT}", AFTER), ("{DELETE}", BEFORE), ("{UPDATE}", &both)]
        .into_iter()
        .fold(UP.replace("§NIL", NIL), |sql, (place, changed)| sql.replace(place, &COUNT.replace("MUDADAS", changed)))
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(&up()).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
