-- Times are microseconds since 1970: exact and sortable. Ids are text, readable in a shell.
-- The CHECK on names covers ASCII white space; the domain rejects other white space of Unicode.
CREATE TABLE projetos (
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

CREATE TABLE atividades (
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

CREATE INDEX atividades_criado_em_idx ON atividades (criado_em DESC, id DESC);
CREATE INDEX atividades_atualizado_em_idx ON atividades (atualizado_em DESC, id DESC);
CREATE INDEX atividades_nome_busca_idx ON atividades (nome_busca, id);
CREATE INDEX atividades_id_projeto_criado_em_idx ON atividades (id_projeto, criado_em DESC, id DESC);

-- Idempotency keys, each with its response.
CREATE TABLE idempotencia (
    usuario TEXT NOT NULL,
    chave TEXT NOT NULL,
    pedido BLOB NOT NULL CHECK (length(pedido) = 32),
    resposta TEXT NOT NULL,
    criado_em INTEGER NOT NULL,
    PRIMARY KEY (usuario, chave)
) STRICT;

-- Marks of one-time operations.
CREATE TABLE marcas (nome TEXT NOT NULL PRIMARY KEY) STRICT;
