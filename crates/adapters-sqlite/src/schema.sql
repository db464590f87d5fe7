-- The whole file runs again on a database of an earlier version, which gets the tables that it lacks.
-- Times are microseconds since 1970: exact and sortable. Ids are text, readable in a shell.
-- The CHECK on names covers ASCII white space; the domain rejects other white space of Unicode.
CREATE TABLE IF NOT EXISTS projetos (
    id TEXT NOT NULL PRIMARY KEY,
    nome TEXT NOT NULL CHECK (length(nome) BETWEEN 1 AND 255 AND nome = trim(nome, char(9, 10, 11, 12, 13, 32))),
    azure_project_id TEXT UNIQUE CHECK (azure_project_id IS NULL OR azure_project_id = id),
    descricao TEXT CHECK (octet_length(descricao) <= 65536),
    url TEXT,
    estado TEXT,
    sincronizado_em INTEGER CHECK ((sincronizado_em IS NULL) = (azure_project_id IS NULL)),
    criado_em INTEGER NOT NULL,
    atualizado_em INTEGER NOT NULL CHECK (atualizado_em >= criado_em)
) STRICT;

CREATE TABLE IF NOT EXISTS atividades (
    id TEXT NOT NULL PRIMARY KEY,
    nome TEXT NOT NULL CHECK (length(nome) BETWEEN 1 AND 255 AND nome = trim(nome, char(9, 10, 11, 12, 13, 32))),
    nome_busca TEXT NOT NULL, -- The name without case and accents, computed by the program.
    descricao TEXT CHECK (octet_length(descricao) <= 65536),
    ativo INTEGER NOT NULL DEFAULT 1 CHECK (ativo IN (0, 1)),
    id_projeto TEXT NOT NULL REFERENCES projetos (id) ON DELETE RESTRICT,
    criado_por TEXT CHECK (length(criado_por) <= 255),
    criado_em INTEGER NOT NULL,
    atualizado_em INTEGER NOT NULL CHECK (atualizado_em >= criado_em)
) STRICT;

CREATE INDEX IF NOT EXISTS atividades_criado_em_idx ON atividades (criado_em DESC, id DESC);
CREATE INDEX IF NOT EXISTS atividades_atualizado_em_idx ON atividades (atualizado_em DESC, id DESC);
CREATE INDEX IF NOT EXISTS atividades_nome_busca_idx ON atividades (nome_busca, id);
CREATE INDEX IF NOT EXISTS atividades_id_projeto_criado_em_idx ON atividades (id_projeto, criado_em DESC, id DESC);

-- The projetos of an atividade after the first, which is in atividades.id_projeto.
CREATE TABLE IF NOT EXISTS atividade_projetos (
    id_atividade TEXT NOT NULL REFERENCES atividades (id) ON DELETE CASCADE,
    id_projeto TEXT NOT NULL REFERENCES projetos (id) ON DELETE RESTRICT,
    lugar INTEGER NOT NULL CHECK (lugar BETWEEN 1 AND 99),
    PRIMARY KEY (id_atividade, id_projeto),
    UNIQUE (id_atividade, lugar)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS atividade_projetos_id_projeto_idx ON atividade_projetos (id_projeto);

-- Idempotency keys, each with its response.
CREATE TABLE IF NOT EXISTS idempotencia (
    usuario TEXT NOT NULL,
    chave TEXT NOT NULL,
    pedido BLOB NOT NULL CHECK (length(pedido) = 32),
    resposta TEXT NOT NULL,
    criado_em INTEGER NOT NULL,
    PRIMARY KEY (usuario, chave)
) STRICT;

-- Marks of one-time operations.
CREATE TABLE IF NOT EXISTS marcas (nome TEXT NOT NULL PRIMARY KEY) STRICT;
