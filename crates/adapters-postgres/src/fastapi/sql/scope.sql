-- The groups of which an entry changed since the last import; all, if references to projects and activities mean something else.
INSERT INTO groups_read
SELECT COALESCE(o.grupo, i.grupo)
FROM old_groups o FULL JOIN own_groups i USING (grupo)
WHERE (o.entries, o.resumo) IS DISTINCT FROM (i.entries, i.resumo)
   OR EXISTS (SELECT FROM entry_projects e JOIN {STATE}.projetos_de_apontamentos b USING (project_id) WHERE e.target <> b.id_projeto)
   OR EXISTS (SELECT FROM old_references r WHERE NOT EXISTS (SELECT FROM old_atividades a WHERE a.id = r.id_atividade))
