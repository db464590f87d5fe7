-- What happens to a row beyond a copy, and which rows cannot be taken.
INSERT INTO decisions (tabela, id, decision, before, after, is_obstacle)
SELECT 'apontamentos', e.id::text, d.decision, d.before, NULL, true
FROM old_apontamentos e JOIN plan_apontamentos p USING (id),
     LATERAL (VALUES
         (p.minutos IS NULL OR p.minutos NOT BETWEEN 1 AND 1499, 'the duration is not between 00:01 and 24:59',
          COALESCE(e.duracao, format('%s h %s min', e.horas, e.minutos))),
         (e.work_item_id IS NULL OR e.work_item_id NOT BETWEEN 1 AND 2147483647, 'the work item is not a positive number',
          e.work_item_id::text),
         (e.data_apontamento IS NULL OR e.data_apontamento NOT BETWEEN '0001-01-01' AND '9999-12-31',
          'the day is not between the years 1 and 9999', e.data_apontamento::text),
         (COALESCE(e.usuario_id, '') = '', 'no person is named', NULL),
         (e.id_atividade IS NULL, 'no activity is named', NULL)) d (applies, decision, before)
WHERE d.applies;
INSERT INTO decisions (tabela, id, decision, before, is_obstacle)
SELECT tabela, id::text, 'the id appears more than once', count::text, true
FROM (SELECT 'apontamentos' AS tabela, id, count(*) FROM old_apontamentos GROUP BY id
      UNION ALL SELECT 'atividades', id, count(*) FROM old_atividades GROUP BY id) t
WHERE 1 < count OR id IS NULL;

INSERT INTO decisions (tabela, id, decision, before, after)
SELECT 'projetos', k.id::text, d.decision, d.before, d.after
FROM known_projects k JOIN plan_projetos p ON p.id = k.target,
     LATERAL (VALUES
         (k.trimmed = '' OR k.trimmed IS NULL, 'blank name replaced', k.nome, p.nome),
         (k.trimmed <> '' AND 255 < length(k.trimmed), 'name cut to 255 characters', k.nome, p.nome),
         (k.trimmed <> '' AND k.trimmed <> k.nome, 'white space around the name removed', k.nome, p.nome),
         (k.descricao IS DISTINCT FROM p.descricao, 'description cut to 64 KiB', k.descricao, p.descricao),
         (p.azure_project_id IS NULL, 'Azure''s GUID is missing: kept as a local project', k.external_id::text, p.id::text),
         (k.created_at IS NULL OR {CREATED} IS DISTINCT FROM k.created_at, 'time of creation is missing or unusable',
          k.created_at::text, p.criado_em::text)) d (applies, decision, before, after)
WHERE d.applies;
INSERT INTO decisions (tabela, id, decision, before, after)
SELECT 'projetos', o.id::text, 'another row has the same GUID and is newer', o.nome, k.nome
FROM old_projetos o
JOIN known_projects k ON k.target = COALESCE(NULLIF(o.external_id, '00000000-0000-0000-0000-000000000000'), o.id)
WHERE o.id <> k.id;

INSERT INTO decisions (tabela, id, decision, before, after)
SELECT 'atividades', a.id::text, d.decision, d.before, d.after
FROM (SELECT btrim(nome, {WHITE_SPACE}) AS trimmed, * FROM old_atividades) a JOIN plan_atividades p USING (id),
     LATERAL (VALUES
         (a.trimmed = '' OR a.trimmed IS NULL, 'blank name replaced', a.nome, p.nome),
         (a.trimmed <> '' AND 255 < length(a.trimmed), 'name cut to 255 characters', a.nome, p.nome),
         (a.trimmed <> '' AND a.trimmed <> a.nome, 'white space around the name removed', a.nome, p.nome),
         (a.descricao IS DISTINCT FROM p.descricao, 'description cut to 64 KiB', a.descricao, p.descricao),
         (a.ativo IS NULL, 'neither active nor inactive: taken as active', NULL, 'true'),
         (255 < length(a.criado_por), 'author cut to 255 characters', a.criado_por, p.criado_por),
         (p.id_projeto = md5('aponta sem projeto')::uuid, 'without a project: kept under one that says so', NULL,
          p.id_projeto::text),
         (a.criado_em IS NULL OR (a.criado_em AT TIME ZONE 'UTC') <> p.criado_em, 'time of creation is missing or unusable',
          a.criado_em::text, p.criado_em::text),
         ((a.atualizado_em AT TIME ZONE 'UTC') <> p.atualizado_em OR a.atualizado_em IS NULL,
          'time of the last change is missing, unusable or before the creation', a.atualizado_em::text,
          p.atualizado_em::text)) d (applies, decision, before, after)
WHERE d.applies;
INSERT INTO decisions (tabela, id, decision, before, after)
SELECT 'atividades', id_atividade::text, d.decision, key::text, target::text
FROM activity_projects,
     LATERAL (VALUES (NOT is_known, 'project unknown: kept under one that says so'),
                     (is_known AND key <> target, 'reference to a project rewritten to Azure''s GUID'),
                     (99 < lugar, 'more than 100 projects: this one is left out')) d (applies, decision)
WHERE d.applies;
INSERT INTO decisions (tabela, id, decision, before)
SELECT 'atividades', id::text, 'same name as another activity: both are kept', nome
FROM (SELECT id, nome, count(*) OVER (PARTITION BY nome) AS same FROM plan_atividades) a WHERE 1 < same;
INSERT INTO decisions (tabela, id, decision, after)
SELECT 'atividades', p.id::text, 'only time entries name it: kept as inactive', p.nome
FROM plan_atividades p LEFT JOIN old_atividades a USING (id) WHERE a.id IS NULL;
INSERT INTO decisions (tabela, id, decision, before)
SELECT 'atividade_projeto', ap.id::text, 'the activity does not exist: left out', ap.id_atividade::text
FROM old_atividade_projeto ap LEFT JOIN old_atividades a ON a.id = ap.id_atividade WHERE a.id IS NULL;

INSERT INTO decisions (tabela, id, decision, before, after)
SELECT 'apontamentos', e.id::text, d.decision, d.before, d.after
FROM old_apontamentos e JOIN plan_apontamentos p USING (id)
JOIN entry_projects r ON r.project_id = COALESCE(e.project_id, ''),
     LATERAL (VALUES
         (r.found_by = 'unknown', 'project unknown: kept under one that says so', e.project_id, p.id_projeto::text),
         (r.found_by = 'name', CASE WHEN r.projects = 1 THEN 'project found by its name'
                                    ELSE 'project found by its name, the newest of several' END, e.project_id,
          p.id_projeto::text),
         (r.found_by = 'id' AND lower(e.project_id) <> p.id_projeto::text,
          'reference to a project rewritten to Azure''s GUID', e.project_id, p.id_projeto::text),
         (1440 < p.minutos, 'longer than 24:00: kept', e.duracao, p.minutos::text),
         (COALESCE(e.duracao, '') = '', 'duration taken from horas and minutos', format('%s h %s min', e.horas, e.minutos),
          p.minutos::text),
         (e.duracao <> '' AND e.horas * 60 + COALESCE(e.minutos, 0) <> p.minutos,
          'horas and minutos contradict duracao, which counts', format('%s h %s min', e.horas, e.minutos), e.duracao),
         (e.comentario = '', 'empty comment is none', e.comentario, NULL),
         (500 < length(e.comentario), 'comment cut to 500 characters', e.comentario, p.comentario),
         (255 < length(e.organization_name), 'organisation cut to 255 characters', e.organization_name, p.organizacao),
         (e.criado_em IS NULL OR (e.criado_em AT TIME ZONE 'UTC') <> p.criado_em, 'time of creation is missing or unusable',
          e.criado_em::text, p.criado_em::text),
         (e.atualizado_em IS NULL OR (e.atualizado_em AT TIME ZONE 'UTC') <> p.atualizado_em,
          'time of the last change is missing, unusable or before the creation', e.atualizado_em::text,
          p.atualizado_em::text)) d (applies, decision, before, after)
WHERE d.applies;
INSERT INTO decisions (tabela, id, decision, before, after)
SELECT 'organization_pats', organization_name,
       'the encrypted token is not taken: revoke it in Azure DevOps, because the key of the old service is known to others',
       organization_url, 'expires ' || COALESCE((expira_em AT TIME ZONE {TIME_ZONE})::text, 'never')
FROM old_organization_pats;
