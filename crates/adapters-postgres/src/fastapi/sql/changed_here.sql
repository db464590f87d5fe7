-- Imported rows that changed in the new service since, apart from those that this import wrote.
INSERT INTO conflicts (tabela, id)
SELECT i.tabela, i.id FROM {STATE}.importados i LEFT JOIN apontamentos e ON e.id = i.id
WHERE i.tabela = 'apontamentos' AND i.linha IS DISTINCT FROM CASE WHEN e.id IS NOT NULL THEN {ENTRY_HASH} END
  AND NOT EXISTS (SELECT FROM changes c WHERE c.tabela = i.tabela AND c.id = i.id)
  AND NOT EXISTS (SELECT FROM conflicts c WHERE c.tabela = i.tabela AND c.id = i.id)
