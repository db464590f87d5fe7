-- Compares the hours of the old service with those in the new tables. Rows that changed in the new service are left out of both.
WITH after AS (
    SELECT {GROUPED} AS what, {KEY} AS key, count(*) AS entries, sum(minutos)::bigint AS minutos
    FROM (SELECT e.usuario_id, e.work_item_id, e.id_atividade, date_trunc('month', e.data)::date AS month, e.minutos
          FROM apontamentos e JOIN {STATE}.importados i ON i.tabela = 'apontamentos' AND i.id = e.id
          WHERE NOT EXISTS (SELECT FROM conflicts c WHERE c.tabela = 'apontamentos' AND c.id = e.id)) e
    GROUP BY GROUPING SETS ((usuario_id), (work_item_id), (id_atividade), (month))
)
SELECT what, count(*) AS groups, COALESCE(sum(b.minutos), 0)::bigint AS before, COALESCE(sum(a.minutos), 0)::bigint AS after,
       count(*) FILTER (WHERE (a.entries, a.minutos) IS DISTINCT FROM (b.entries, b.minutos)) AS different
FROM old_hours b FULL JOIN after a USING (what, key) GROUP BY what ORDER BY what
