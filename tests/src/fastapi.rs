//! Databases of the FastAPI service, in each form in which they exist, for tests of the import.

/// The form of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One project per activity, no time entries.
    First,
    /// Activities of several projects, and time entries.
    Second,
    /// The second one as its ORM creates it: other order of columns, no server defaults, no `alembic_version`.
    SecondByOrm,
    /// The second one after a repair script: `horas` and `minutos` beside a nullable `duracao`.
    SecondRepaired,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::First, Self::Second, Self::SecondByOrm, Self::SecondRepaired];

    /// The statements that create its tables in `schema`.
    #[must_use]
    pub fn tables(self, schema: &str) -> String {
        let tables = match self {
            Self::First => FIRST,
            Self::Second => SECOND,
            Self::SecondByOrm => SECOND_BY_ORM,
            Self::SecondRepaired => &format!("{SECOND}{REPAIR}"),
        };
        format!("CREATE SCHEMA {schema}; SET search_path = {schema};{PROJETOS}{tables}{}", self.rest())
    }

    /// The statements that add rows of every kind: projects 1 to 3, activities 1 to 4, entries 1 to 6.
    #[must_use]
    pub fn rows(self) -> String {
        let activities = match self {
            Self::First => FIRST_ROWS,
            _ => SECOND_ROWS,
        };
        let entries = match self {
            Self::First => "",
            Self::SecondRepaired => &format!("{MOVE_DURATIONS}{ENTRIES}"),
            Self::Second | Self::SecondByOrm => ENTRIES,
        };
        format!("{PROJETO_ROWS}{activities}{entries}")
    }

    const fn rest(self) -> &'static str {
        match self {
            Self::First => {
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('90324eefb107');"
            }
            Self::Second => {
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('e5f6g7h8i9j0');"
            }
            Self::SecondByOrm => "ALTER TABLE projetos ADD COLUMN organizacao varchar;",
            Self::SecondRepaired => {
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
                 INSERT INTO alembic_version VALUES ('1ceca310630d'), ('add_organizacao_col');"
            }
        }
    }
}

const PROJETOS: &str = "
CREATE TABLE projetos (
    id uuid PRIMARY KEY, external_id uuid NOT NULL, nome varchar NOT NULL, descricao text, url varchar, estado varchar,
    last_sync_at timestamptz DEFAULT now(), created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
);
CREATE UNIQUE INDEX ix_projetos_external_id ON projetos (external_id);";

const FIRST: &str = "
CREATE TABLE atividades (
    id uuid PRIMARY KEY, nome varchar(255) NOT NULL, descricao text, ativo boolean NOT NULL, id_projeto uuid NOT NULL,
    criado_em timestamp NOT NULL, atualizado_em timestamp NOT NULL
);";

const SECOND: &str = "
ALTER TABLE projetos ADD COLUMN organizacao varchar;
CREATE TABLE atividades (
    id uuid PRIMARY KEY, nome varchar(255) NOT NULL, descricao text, ativo boolean NOT NULL, criado_em timestamp NOT NULL,
    atualizado_em timestamp NOT NULL, criado_por varchar(255)
);
CREATE TABLE atividade_projeto (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    id_atividade uuid NOT NULL CONSTRAINT atividade_projeto_id_atividade_fkey REFERENCES atividades ON DELETE CASCADE,
    id_projeto uuid NOT NULL CONSTRAINT atividade_projeto_id_projeto_fkey REFERENCES projetos ON DELETE CASCADE,
    criado_em timestamp NOT NULL DEFAULT now(), CONSTRAINT uq_atividade_projeto UNIQUE (id_atividade, id_projeto)
);
CREATE TABLE apontamentos (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY, work_item_id integer NOT NULL, project_id varchar(255) NOT NULL,
    organization_name varchar(255) NOT NULL, data_apontamento date NOT NULL,
    id_atividade uuid NOT NULL CONSTRAINT apontamentos_id_atividade_fkey REFERENCES atividades ON DELETE RESTRICT,
    comentario varchar(500), usuario_id varchar(255) NOT NULL, usuario_nome varchar(255) NOT NULL,
    usuario_email varchar(255), criado_em timestamp NOT NULL DEFAULT now(), atualizado_em timestamp NOT NULL DEFAULT now(),
    duracao varchar(5) NOT NULL
);
CREATE TABLE organization_pats (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY, organization_name varchar(255) NOT NULL UNIQUE,
    organization_url varchar(500), pat_encrypted text NOT NULL, descricao text, expira_em timestamp,
    ativo boolean NOT NULL DEFAULT true, criado_por varchar(255), criado_em timestamp NOT NULL DEFAULT now(),
    atualizado_em timestamp NOT NULL DEFAULT now()
);";

const SECOND_BY_ORM: &str = "
CREATE TABLE organization_pats (
    criado_em timestamp NOT NULL, pat_encrypted text NOT NULL, organization_name varchar(255) NOT NULL,
    organization_url varchar(500), descricao text, expira_em timestamp, ativo boolean NOT NULL, criado_por varchar(255),
    atualizado_em timestamp NOT NULL, id uuid NOT NULL PRIMARY KEY
);
CREATE TABLE atividades (
    criado_por varchar(255), atualizado_em timestamp NOT NULL, criado_em timestamp NOT NULL, ativo boolean NOT NULL,
    descricao text, nome varchar(255) NOT NULL, id uuid NOT NULL PRIMARY KEY
);
CREATE TABLE atividade_projeto (
    criado_em timestamp NOT NULL, id_projeto uuid NOT NULL REFERENCES projetos, id_atividade uuid NOT NULL REFERENCES atividades,
    id uuid NOT NULL PRIMARY KEY
);
CREATE TABLE apontamentos (
    duracao varchar(5) NOT NULL, criado_em timestamp NOT NULL, atualizado_em timestamp NOT NULL, usuario_email varchar(255),
    usuario_nome varchar(255) NOT NULL, usuario_id varchar(255) NOT NULL, comentario varchar(500),
    id_atividade uuid NOT NULL REFERENCES atividades, data_apontamento date NOT NULL, organization_name varchar(255) NOT NULL,
    project_id varchar(255) NOT NULL, work_item_id integer NOT NULL, id uuid NOT NULL PRIMARY KEY
);";

const REPAIR: &str = "
ALTER TABLE apontamentos ALTER COLUMN duracao DROP NOT NULL, ADD COLUMN horas integer, ADD COLUMN minutos integer,
    ALTER COLUMN comentario TYPE varchar(100);";

/// Project n has the local id 1…n and Azure's GUID a…n.
const PROJETO_ROWS: &str = "
INSERT INTO projetos (id, external_id, nome, descricao, url, estado, last_sync_at, created_at, updated_at)
SELECT format('10000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid,
       format('a0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'Projeto ' || n, NULL,
       'https://dev.azure.com/exemplo/_apis/projects/' || n, 'wellFormed', '2026-11-26 13:00-03', '2026-11-26 12:00-03',
       '2026-11-26 13:00-03'
FROM generate_series(1, 3) n;";

const FIRST_ROWS: &str = "
INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_em, atualizado_em)
SELECT format('20000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'Atividade ' || n, '', n <> 3, projeto::uuid,
       '2026-11-26 15:00:00.123456', '2026-11-26 15:00:00.123460'
FROM (VALUES (1, '10000000-0000-4000-8000-000000000001'), (2, 'a0000000-0000-4000-8000-000000000001'),
             (3, 'a0000000-0000-4000-8000-000000000002'), (4, 'ffffffff-0000-4000-8000-000000000009')) a (n, projeto);";

const SECOND_ROWS: &str = "
INSERT INTO atividades (id, nome, descricao, ativo, criado_em, atualizado_em, criado_por)
SELECT format('20000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'Atividade ' || n, '', n <> 3,
       '2026-11-26 15:00:00.123456', '2026-11-26 15:00:00.123460', 'ana@exemplo.br'
FROM generate_series(1, 4) n;
INSERT INTO atividade_projeto (id, id_atividade, id_projeto, criado_em)
SELECT gen_random_uuid(), format('20000000-0000-4000-8000-%s', lpad(atividade::text, 12, '0'))::uuid,
       format('10000000-0000-4000-8000-%s', lpad(projeto::text, 12, '0'))::uuid, '2026-11-26 15:00'::timestamp + lugar * interval '1 s'
FROM (VALUES (1, 2, 1), (1, 1, 2), (1, 3, 3), (2, 1, 1), (3, 2, 1), (4, 3, 1)) ap (atividade, projeto, lugar);
INSERT INTO organization_pats (id, organization_name, organization_url, pat_encrypted, expira_em, ativo, criado_em, atualizado_em)
VALUES (gen_random_uuid(), 'exemplo', 'https://dev.azure.com/exemplo', 'gAAAAAB-um-segredo', '2027-01-31 23:59:59', true, now(), now());";

const ENTRIES: &str = "
INSERT INTO apontamentos (id, work_item_id, project_id, organization_name, data_apontamento, id_atividade, comentario, usuario_id,
                          usuario_nome, usuario_email, criado_em, atualizado_em, duracao)
SELECT format('30000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 100 + n % 2, projeto, 'exemplo', data::date,
       format('20000000-0000-4000-8000-%s', lpad(atividade::text, 12, '0'))::uuid, comentario, usuario, 'Pessoa ' || usuario,
       usuario || '@exemplo.br', '2026-11-26 15:00:00.123456', '2026-11-26 15:00:00.123460', duracao
FROM (VALUES (1, 'a0000000-0000-4000-8000-000000000001', '2026-11-23', 1, NULL, 'ana', '00:15'),
             (2, '10000000-0000-4000-8000-000000000001', '2026-11-24', 1, 'Correção', 'ana', '08:00'),
             (3, 'Projeto 2', '2026-11-24', 2, '', 'rui', '24:59'),
             (4, 'Projeto_Ágil', '2026-10-31', 3, 'nome que não existe', 'rui', '04:00'),
             (5, 'A0000000-0000-4000-8000-000000000003', '2026-12-01', 4, '=1+1', 'User-08347002', '03:30'),
             (6, 'a0000000-0000-4000-8000-000000000002', '2024-02-29', 1, 'ano bissexto', 'ana', '02:00'))
     e (n, projeto, data, atividade, comentario, usuario, duracao);";

/// Half of the rows have their duration in the columns of the repair script only.
const MOVE_DURATIONS: &str = "
CREATE FUNCTION move_duration() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.horas := split_part(NEW.duracao, ':', 1)::integer; NEW.minutos := split_part(NEW.duracao, ':', 2)::integer;
    IF NEW.id::text ~ '[246]$' THEN NEW.duracao := NULL; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER move_duration BEFORE INSERT ON apontamentos FOR EACH ROW EXECUTE FUNCTION move_duration();";
