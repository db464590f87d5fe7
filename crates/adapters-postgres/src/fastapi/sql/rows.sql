ANALYZE old_apontamentos;
-- Activities and time entries as the new service stores them.
CREATE TEMP TABLE plan_atividades ON COMMIT DROP AS
SELECT id,
       CASE WHEN trimmed <> '' THEN btrim(left(trimmed, 255), {WHITE_SPACE}) ELSE 'Atividade sem nome ' || id END
           AS nome,
       {DESCRIPTION} AS descricao, COALESCE(ativo, true) AS ativo,
       COALESCE(first.target, md5('aponta sem projeto')::uuid) AS id_projeto,
       COALESCE(others.targets, '{}') AS outros,
       NULLIF(left(criado_por, 255), '') AS criado_por,
       COALESCE({CREATED_UTC}, {UPDATED_UTC}, 'epoch') AS criado_em,
       GREATEST(COALESCE({CREATED_UTC}, {UPDATED_UTC}, 'epoch'), {UPDATED_UTC}) AS atualizado_em
FROM (SELECT btrim(nome, {WHITE_SPACE}) AS trimmed, * FROM old_atividades) a
LEFT JOIN (SELECT id_atividade, target FROM activity_projects WHERE lugar = 0) first ON first.id_atividade = a.id
LEFT JOIN (SELECT id_atividade, array_agg(target ORDER BY lugar) AS targets
           FROM activity_projects WHERE lugar BETWEEN 1 AND 99 GROUP BY 1) others ON others.id_atividade = a.id;

CREATE TEMP TABLE plan_apontamentos ON COMMIT DROP AS
SELECT e.id, p.target AS id_projeto, e.id_atividade, e.work_item_id,
       left(COALESCE(e.organization_name, ''), 255) AS organizacao, e.data_apontamento AS data,
       CASE WHEN btrim(e.duracao) ~ '^[0-9]{1,2}:[0-5][0-9]$'
            THEN split_part(btrim(e.duracao), ':', 1)::integer * 60 + split_part(btrim(e.duracao), ':', 2)::integer
            WHEN COALESCE(btrim(e.duracao), '') = '' THEN e.horas::bigint * 60 + COALESCE(e.minutos, 0) END AS minutos,
       NULLIF(left(e.comentario, 500), '') AS comentario,
       e.usuario_id, COALESCE(NULLIF(e.usuario_nome, ''), e.usuario_id) AS usuario_nome,
       NULLIF(e.usuario_email, '') AS usuario_email,
       COALESCE({CREATED_UTC}, {UPDATED_UTC}, e.data_apontamento::timestamp AT TIME ZONE 'UTC') AS criado_em,
       GREATEST(COALESCE({CREATED_UTC}, {UPDATED_UTC}, e.data_apontamento::timestamp AT TIME ZONE 'UTC'), {UPDATED_UTC})
           AS atualizado_em,
       e.resumo
FROM old_apontamentos e JOIN entry_projects p ON p.project_id = COALESCE(e.project_id, '');

-- Activities that only time entries name.
INSERT INTO plan_atividades (id, nome, ativo, id_projeto, outros, criado_em, atualizado_em)
SELECT DISTINCT ON (e.id_atividade) e.id_atividade, 'Atividade desconhecida ' || e.id_atividade, false, e.id_projeto, '{}',
       e.criado_em, e.criado_em
FROM plan_apontamentos e LEFT JOIN old_atividades a ON a.id = e.id_atividade
WHERE a.id IS NULL AND e.id_atividade IS NOT NULL
ORDER BY e.id_atividade, e.criado_em, e.id;
ANALYZE plan_projetos, plan_atividades, plan_apontamentos;
