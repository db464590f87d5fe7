-- Projects: each under Azure's GUID, and what every reference of another table means.
ANALYZE old_projetos, old_atividades, old_atividade_projeto, old_references;

CREATE TEMP TABLE known_projects ON COMMIT DROP AS
SELECT DISTINCT ON (target) *
FROM (SELECT COALESCE(NULLIF(external_id, '00000000-0000-0000-0000-000000000000'), id) AS target,
             btrim(nome, {WHITE_SPACE}) AS trimmed, *
      FROM old_projetos) p
ORDER BY target, updated_at DESC NULLS LAST, id;

-- Azure's GUIDs come before local ids.
CREATE TEMP TABLE project_ids ON COMMIT DROP AS
SELECT DISTINCT ON (key) key, target
FROM (SELECT target AS key, target, 0 AS place FROM known_projects
      UNION ALL
      SELECT p.id, COALESCE(NULLIF(p.external_id, '00000000-0000-0000-0000-000000000000'), p.id), 1 FROM old_projetos p) k
ORDER BY key, place, target;

-- Of several projects with one name, the one that was synchronised last.
CREATE TEMP TABLE project_names ON COMMIT DROP AS
SELECT DISTINCT ON (key) key, target, count(*) OVER (PARTITION BY key) AS projects
FROM (SELECT lower(trimmed) AS key, target, last_sync_at FROM known_projects WHERE trimmed <> '') n
ORDER BY key, last_sync_at DESC NULLS LAST, target;

-- What time entries call their project: a GUID, a local id or a name.
CREATE TEMP TABLE entry_projects ON COMMIT DROP AS
SELECT r.project_id, r.entries,
       COALESCE(i.target, m.target, r.guid, md5('aponta projeto ' || r.project_id)::uuid) AS target,
       CASE WHEN i.target IS NOT NULL THEN 'id' WHEN m.target IS NOT NULL THEN 'name' ELSE 'unknown' END AS found_by,
       m.projects
FROM (SELECT project_id, entries,
             CASE WHEN hex ~ '^[0-9a-fA-F]{32}$' AND hex !~ '^0+$' THEN hex::uuid END AS guid
      FROM (SELECT project_id, entries, regexp_replace(btrim(project_id, {WHITE_SPACE}), '[{}-]', '', 'g') AS hex
            FROM (SELECT COALESCE(project_id, '') AS project_id, sum(entries)::bigint AS entries
                  FROM old_references GROUP BY 1) e) t) r
LEFT JOIN project_ids i ON i.key = r.guid
LEFT JOIN project_names m ON i.key IS NULL AND m.key = lower(btrim(r.project_id, {WHITE_SPACE}));

-- The projects of each activity in their order, each once.
CREATE TEMP TABLE activity_projects ON COMMIT DROP AS
SELECT id_atividade, key, target, is_known, (row_number() OVER (PARTITION BY id_atividade ORDER BY place, key) - 1) AS lugar
FROM (SELECT DISTINCT ON (id_atividade, target) *
      FROM (SELECT r.id_atividade, r.key, COALESCE(i.target, r.key) AS target, i.target IS NOT NULL AS is_known,
                   row_number() OVER (PARTITION BY r.id_atividade ORDER BY r.source, r.criado_em, r.id) AS place
            FROM (SELECT id AS id_atividade, id_projeto AS key, 0 AS source, NULL::timestamp AS criado_em, id
                  FROM old_atividades WHERE id_projeto IS NOT NULL
                  UNION ALL
                  SELECT ap.id_atividade, ap.id_projeto, 1, ap.criado_em, ap.id
                  FROM old_atividade_projeto ap JOIN old_atividades a ON a.id = ap.id_atividade
                  WHERE ap.id_projeto IS NOT NULL) r
            LEFT JOIN project_ids i ON i.key = r.key) resolved
      ORDER BY id_atividade, target, place) once;

CREATE TEMP TABLE plan_projetos ON COMMIT DROP AS
SELECT target AS id,
       CASE WHEN trimmed <> '' THEN btrim(left(trimmed, 255), {WHITE_SPACE})
            ELSE 'Projeto sem nome ' || target END AS nome,
       CASE WHEN target <> id OR external_id = id THEN target::text END AS azure_project_id,
       {DESCRIPTION} AS descricao, url, estado,
       CASE WHEN target <> id OR external_id = id
            THEN COALESCE({SYNCED}, {UPDATED}, {CREATED}, 'epoch') END AS sincronizado_em,
       COALESCE({CREATED}, {UPDATED}, {SYNCED}, 'epoch') AS criado_em,
       GREATEST(COALESCE({CREATED}, {UPDATED}, {SYNCED}, 'epoch'), {UPDATED}) AS atualizado_em
FROM known_projects;

-- Projects that nobody knows, under the id that names them, so that a synchronisation can still find them.
INSERT INTO plan_projetos (id, nome, descricao, criado_em, atualizado_em)
SELECT DISTINCT ON (u.id) u.id, btrim(left('Projeto desconhecido ' || u.key, 255), {WHITE_SPACE}), 
       'Importado: nenhum projeto do serviço anterior tem este id ou nome', first.em, first.em
FROM (SELECT target AS id, btrim(key::text, {WHITE_SPACE}) AS key FROM activity_projects WHERE NOT is_known
      UNION ALL
      SELECT target, btrim(project_id, {WHITE_SPACE}) FROM entry_projects WHERE found_by = 'unknown'
      UNION ALL
      SELECT md5('aponta sem projeto')::uuid, 'de atividades sem projeto'
      FROM old_atividades a WHERE NOT EXISTS (SELECT FROM activity_projects r WHERE r.id_atividade = a.id)) u,
     (SELECT COALESCE(min(criado_em) AT TIME ZONE 'UTC', 'epoch') AS em FROM old_atividades
      WHERE criado_em BETWEEN '0001-01-01' AND '9999-12-31') first
ORDER BY u.id, u.key;
