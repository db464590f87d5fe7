-- The digests of the imported entries, in the same groups.
CREATE TEMP TABLE own_groups ON COMMIT DROP AS
SELECT grupo, count(*) AS entries, sum(resumo) AS resumo FROM {STATE}.importados WHERE tabela = 'apontamentos' GROUP BY 1
