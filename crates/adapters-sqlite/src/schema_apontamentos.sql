-- Time entries, and the work items to which they belong as somebody last saw them. Dates are text, `AAAA-MM-DD`.
CREATE TABLE work_items (
    organizacao TEXT NOT NULL,
    id INTEGER NOT NULL,
    titulo TEXT NOT NULL,
    tipo TEXT NOT NULL,
    visto_em INTEGER NOT NULL,
    PRIMARY KEY (organizacao, id)
) STRICT;

CREATE TABLE apontamentos (
    id TEXT NOT NULL PRIMARY KEY,
    id_projeto TEXT NOT NULL REFERENCES projetos (id) ON DELETE RESTRICT,
    id_atividade TEXT NOT NULL REFERENCES atividades (id) ON DELETE RESTRICT,
    work_item_id INTEGER NOT NULL CHECK (work_item_id > 0),
    organizacao TEXT NOT NULL,
    data TEXT NOT NULL CHECK (data = date(data)),
    minutos INTEGER NOT NULL CHECK (minutos BETWEEN 1 AND 1499),
    comentario TEXT CHECK (length(comentario) BETWEEN 1 AND 500),
    usuario_id TEXT NOT NULL,
    usuario_nome TEXT NOT NULL,
    usuario_email TEXT,
    criado_em INTEGER NOT NULL,
    atualizado_em INTEGER NOT NULL CHECK (atualizado_em >= criado_em)
) STRICT;

CREATE INDEX apontamentos_data_idx ON apontamentos (data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_usuario_id_data_idx ON apontamentos (usuario_id, data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_work_item_id_data_idx ON apontamentos (work_item_id, data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_id_projeto_data_idx ON apontamentos (id_projeto, data DESC, criado_em DESC, id DESC);
CREATE INDEX apontamentos_id_atividade_data_idx ON apontamentos (id_atividade, data DESC, criado_em DESC, id DESC);
