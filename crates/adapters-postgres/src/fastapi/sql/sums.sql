-- Compares the hours of the old service, read from its own columns, with those in the new tables. Rows that changed in both
-- services are left out.
WITH before AS (
    SELECT e.id, e.usuario_id, e.work_item_id, e.id_atividade, e.data_apontamento AS data,
           (CASE WHEN COALESCE(btrim(e.duracao), '') <> '' THEN extract(epoch FROM btrim(e.duracao)::interval) / 60
                 ELSE e.horas * 60 + COALESCE(e.minutos, 0) END)::bigint AS minutos
    FROM old_apontamentos e
    WHERE NOT EXISTS (SELECT FROM conflicts c WHERE c.tabela = 'apontamentos' AND c.id = e.id)
), both_sides AS (
    SELECT usuario_id, work_item_id, id_atividade, data, minutos AS before, 0 AS after, 1 AS entries_before, 0 AS entries_after
    FROM before
    UNION ALL
    SELECT e.usuario_id, e.work_item_id, e.id_atividade, e.data, 0, e.minutos, 0, 1
    FROM apontamentos e JOIN before b USING (id)
), groups AS (
    SELECT CASE WHEN grouping(usuario_id) = 0 THEN 'persons' WHEN grouping(work_item_id) = 0 THEN 'work items'
                WHEN grouping(id_atividade) = 0 THEN 'activities' ELSE 'months' END AS what,
           sum(before)::bigint AS before, sum(after)::bigint AS after,
           sum(entries_before) <> sum(entries_after) OR sum(before) <> sum(after) AS differs
    FROM (SELECT *, date_trunc('month', data) AS month FROM both_sides) b
    GROUP BY GROUPING SETS ((usuario_id), (work_item_id), (id_atividade), (month))
)
SELECT what, count(*) AS groups, COALESCE(sum(before), 0)::bigint AS before, COALESCE(sum(after), 0)::bigint AS after,
       count(*) FILTER (WHERE differs) AS different
FROM groups GROUP BY what ORDER BY what
