-- The projetos of an atividade after the first, which is in atividades.id_projeto.
CREATE TABLE atividade_projetos (
    id_atividade TEXT NOT NULL REFERENCES atividades (id) ON DELETE CASCADE,
    id_projeto TEXT NOT NULL REFERENCES projetos (id) ON DELETE RESTRICT,
    lugar INTEGER NOT NULL CHECK (lugar BETWEEN 1 AND 99),
    PRIMARY KEY (id_atividade, id_projeto),
    UNIQUE (id_atividade, lugar)
) STRICT, WITHOUT ROWID;

CREATE INDEX atividade_projetos_id_projeto_idx ON atividade_projetos (id_projeto);
