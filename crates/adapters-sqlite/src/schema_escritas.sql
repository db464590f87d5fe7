-- Work items whose hours are written to Azure DevOps. `proxima_em` is NULL where there is nothing to do.
CREATE TABLE escritas (
    organizacao TEXT NOT NULL,
    work_item_id INTEGER NOT NULL,
    versao INTEGER NOT NULL DEFAULT 1,
    pendente_desde INTEGER,
    proxima_em INTEGER,
    tentativas INTEGER NOT NULL DEFAULT 0,
    reserva TEXT,
    motivo TEXT CHECK (motivo IN ('inexistente', 'encerrado', 'regra', 'sem_permissao', 'sem_resposta')),
    rev INTEGER,
    completed_work REAL,
    manual REAL,
    minutos INTEGER,
    tentativa_rev INTEGER,
    tentativa_completed_work REAL,
    tentativa_manual REAL,
    tentativa_minutos INTEGER,
    PRIMARY KEY (organizacao, work_item_id),
    CHECK ((pendente_desde IS NULL) = (proxima_em IS NULL) AND (motivo IS NULL OR proxima_em IS NULL))
) STRICT;

CREATE INDEX escritas_proxima_em_idx ON escritas (proxima_em) WHERE proxima_em IS NOT NULL;
