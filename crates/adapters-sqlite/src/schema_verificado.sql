-- Entries on work items that their owner has not seen in Azure DevOps yet.
ALTER TABLE apontamentos ADD COLUMN verificado INTEGER NOT NULL DEFAULT 1 CHECK (verificado IN (0, 1));
