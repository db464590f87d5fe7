-- Whose turn a pending work item is in, and when its hours could last not be written.
ALTER TABLE escritas ADD COLUMN usuario_id TEXT;
ALTER TABLE escritas ADD COLUMN falhou_em INTEGER;
