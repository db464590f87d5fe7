-- Brings the tables to the plan. `importados` has the hash of each row as the import wrote it. A row that changed here since
-- is not touched.
CREATE TEMP TABLE planned ON COMMIT DROP AS
SELECT 'atividades' AS tabela, a.id, {PLANNED_ACTIVITY_HASH} AS linha, NULL::bigint AS resumo FROM plan_atividades a
UNION ALL
SELECT 'apontamentos', e.id, {ENTRY_HASH}, e.resumo FROM plan_apontamentos e;
ANALYZE planned;
-- Of what the last import wrote, the rows that were read again.
CREATE TEMP TABLE imported ON COMMIT DROP AS
SELECT i.* FROM {STATE}.importados i
WHERE i.tabela = 'atividades' OR i.grupo IN (SELECT grupo FROM groups_read);
ANALYZE imported;

-- Only rows that differ from the last import.
CREATE TEMP TABLE changes ON COMMIT DROP AS
SELECT COALESCE(p.tabela, i.tabela) AS tabela, COALESCE(p.id, i.id) AS id, p.linha AS planned, i.linha AS imported, p.resumo
FROM planned p FULL JOIN imported i ON i.tabela = p.tabela AND i.id = p.id
WHERE p.linha IS DISTINCT FROM i.linha;
ANALYZE changes;

CREATE TEMP TABLE present ON COMMIT DROP AS
SELECT c.tabela, c.id, {ACTIVITY_HASH} AS linha
FROM changes c JOIN atividades a ON a.id = c.id WHERE c.tabela = 'atividades'
UNION ALL
SELECT c.tabela, c.id, {ENTRY_HASH}
FROM changes c JOIN apontamentos e ON e.id = c.id WHERE c.tabela = 'apontamentos';
ANALYZE present;

-- A row is as the import left it if it is absent before the first import, and as imported afterwards.
CREATE TEMP TABLE conflicts ON COMMIT DROP AS
SELECT c.tabela, c.id FROM changes c LEFT JOIN present r USING (tabela, id)
WHERE r.linha IS DISTINCT FROM c.imported AND r.linha IS DISTINCT FROM c.planned;
INSERT INTO decisions (tabela, id, decision)
SELECT tabela, id::text, 'changed in the new service as well: its row stays' FROM conflicts;
DELETE FROM changes c USING conflicts x WHERE c.tabela = x.tabela AND c.id = x.id;

INSERT INTO projetos (id, nome, azure_project_id, descricao, url, estado, sincronizado_em, criado_em, atualizado_em)
SELECT id, nome, azure_project_id, descricao, url, estado, sincronizado_em, criado_em, atualizado_em FROM plan_projetos
ON CONFLICT (id) DO NOTHING;

INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_por, criado_em, atualizado_em)
SELECT p.id, p.nome, p.descricao, p.ativo, p.id_projeto, p.criado_por, p.criado_em, p.atualizado_em
FROM plan_atividades p JOIN changes c ON c.tabela = 'atividades' AND c.id = p.id
ON CONFLICT (id) DO UPDATE
SET nome = EXCLUDED.nome, descricao = EXCLUDED.descricao, ativo = EXCLUDED.ativo, id_projeto = EXCLUDED.id_projeto,
    criado_por = EXCLUDED.criado_por, criado_em = EXCLUDED.criado_em, atualizado_em = EXCLUDED.atualizado_em;
DELETE FROM atividade_projetos ap USING changes c WHERE c.tabela = 'atividades' AND c.id = ap.id_atividade;
INSERT INTO atividade_projetos (id_atividade, id_projeto, lugar)
SELECT p.id, o.id_projeto, o.lugar
FROM plan_atividades p JOIN changes c ON c.tabela = 'atividades' AND c.id = p.id,
     unnest(p.outros) WITH ORDINALITY AS o (id_projeto, lugar);

-- Building an index from all rows takes a fraction of the time of adding them one by one.
CREATE TEMP TABLE rebuilt (n integer GENERATED ALWAYS AS IDENTITY, definition text) ON COMMIT DROP;
DO $do$ DECLARE found record; BEGIN
    IF EXISTS (SELECT FROM apontamentos) THEN RETURN; END IF;
    FOR found IN
        SELECT format('ALTER TABLE apontamentos DROP CONSTRAINT %I', conname) AS remove,
               format('ALTER TABLE apontamentos ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS definition
        FROM pg_constraint WHERE conrelid = 'apontamentos'::regclass AND contype = 'f'
        UNION ALL
        SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
        FROM pg_index WHERE indrelid = 'apontamentos'::regclass AND NOT indisprimary
    LOOP
        EXECUTE found.remove;
        INSERT INTO rebuilt (definition) VALUES (found.definition);
    END LOOP;
END $do$;
INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario, usuario_id,
                          usuario_nome, usuario_email, criado_em, atualizado_em)
SELECT p.id, p.id_projeto, p.id_atividade, p.work_item_id, p.organizacao, p.data, p.minutos, p.comentario, p.usuario_id,
       p.usuario_nome, p.usuario_email, p.criado_em, p.atualizado_em
FROM plan_apontamentos p JOIN changes c ON c.tabela = 'apontamentos' AND c.id = p.id
ON CONFLICT (id) DO UPDATE
SET id_projeto = EXCLUDED.id_projeto, id_atividade = EXCLUDED.id_atividade, work_item_id = EXCLUDED.work_item_id,
    organizacao = EXCLUDED.organizacao, data = EXCLUDED.data, minutos = EXCLUDED.minutos, comentario = EXCLUDED.comentario,
    usuario_id = EXCLUDED.usuario_id, usuario_nome = EXCLUDED.usuario_nome, usuario_email = EXCLUDED.usuario_email,
    criado_em = EXCLUDED.criado_em, atualizado_em = EXCLUDED.atualizado_em;
DO $do$ DECLARE found text; BEGIN
    FOR found IN SELECT definition FROM rebuilt ORDER BY n LOOP EXECUTE found; END LOOP;
END $do$;

-- Rows that the old service has deleted. Projects stay: a synchronisation marks them.
DELETE FROM apontamentos e USING changes c WHERE c.tabela = 'apontamentos' AND c.planned IS NULL AND c.id = e.id;
INSERT INTO decisions (tabela, id, decision)
SELECT 'atividades', c.id::text, 'deleted in the old service, but new time entries name it: it stays'
FROM changes c WHERE c.tabela = 'atividades' AND c.planned IS NULL
                 AND EXISTS (SELECT FROM apontamentos e WHERE e.id_atividade = c.id);
DELETE FROM atividades a USING changes c
WHERE c.tabela = 'atividades' AND c.planned IS NULL AND c.id = a.id
  AND NOT EXISTS (SELECT FROM apontamentos e WHERE e.id_atividade = a.id);

DELETE FROM {STATE}.importados i USING changes c WHERE c.planned IS NULL AND i.tabela = c.tabela AND i.id = c.id;
INSERT INTO {STATE}.importados (tabela, id, linha, resumo)
SELECT tabela, id, planned, resumo FROM changes WHERE planned IS NOT NULL
ON CONFLICT (tabela, id) DO UPDATE SET linha = EXCLUDED.linha, resumo = EXCLUDED.resumo;
-- Entries that another text of the old service, such as an empty comment, leaves as they are.
UPDATE {STATE}.importados i SET resumo = p.resumo
FROM planned p JOIN imported b USING (tabela, id, linha)
WHERE i.tabela = p.tabela AND i.id = p.id AND i.linha = p.linha AND p.resumo IS DISTINCT FROM b.resumo;
DELETE FROM {STATE}.projetos_de_apontamentos;
INSERT INTO {STATE}.projetos_de_apontamentos (project_id, id_projeto) SELECT project_id, target FROM entry_projects;

INSERT INTO decisions (tabela, id, decision, before)
SELECT 'apontamentos', usuario_id || ' ' || data, 'more than 24:00 on one day: kept, nothing can be added', sum(minutos)::text
FROM apontamentos WHERE (usuario_id, data) IN (SELECT usuario_id, data FROM plan_apontamentos)
GROUP BY usuario_id, data HAVING 1440 < sum(minutos);
