-- The hours of imported entries in the new tables. Rows that changed in the new service are left out.
DROP TABLE IF EXISTS new_hours;
CREATE TEMP TABLE new_hours ON COMMIT DROP AS
SELECT {GROUPED} AS what, {KEY} AS key, count(*) AS entries, sum(minutos)::bigint AS minutos
FROM (SELECT e.usuario_id, e.work_item_id, e.id_atividade, date_trunc('month', e.data)::date AS month, e.minutos
      FROM apontamentos e JOIN {STATE}.importados i ON i.tabela = 'apontamentos' AND i.id = e.id
      WHERE NOT EXISTS (SELECT FROM conflicts c WHERE c.tabela = 'apontamentos' AND c.id = e.id)) e
GROUP BY GROUPING SETS ((usuario_id), (work_item_id), (id_atividade), (month))
