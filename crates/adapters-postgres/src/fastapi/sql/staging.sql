-- The rows of the old service as they stand in its tables. A column that its schema does not have is NULL.
CREATE TEMP TABLE old_projetos (
    id uuid, external_id uuid, nome text, descricao text, url text, estado text, organizacao text,
    last_sync_at timestamptz, created_at timestamptz, updated_at timestamptz
) ON COMMIT DROP;
CREATE TEMP TABLE old_atividades (
    id uuid, nome text, descricao text, ativo boolean, id_projeto uuid, criado_por text, criado_em timestamp,
    atualizado_em timestamp
) ON COMMIT DROP;
CREATE TEMP TABLE old_atividade_projeto (
    id uuid, id_atividade uuid, id_projeto uuid, criado_em timestamp
) ON COMMIT DROP;
CREATE TEMP TABLE old_apontamentos (
    id uuid, work_item_id bigint, project_id text, organization_name text, data_apontamento date, duracao text,
    horas bigint, minutos bigint, id_atividade uuid, comentario text, usuario_id text, usuario_nome text,
    usuario_email text, criado_em timestamp, atualizado_em timestamp, resumo bigint
) ON COMMIT DROP;
-- What all time entries refer to.
CREATE TEMP TABLE old_references (project_id text, id_atividade uuid, entries bigint) ON COMMIT DROP;
-- The digests of all time entries, in groups by their ids: an entry of a group with another digest has changed.
CREATE TEMP TABLE old_groups (grupo integer, entries bigint, resumo numeric) ON COMMIT DROP;
-- The groups of which the time entries were read.
CREATE TEMP TABLE groups_read (grupo integer) ON COMMIT DROP;
-- The hours of all time entries, by the old service's own columns.
CREATE TEMP TABLE old_hours (what text, key text, entries bigint, minutos bigint) ON COMMIT DROP;
-- Without the encrypted tokens, which are never read.
CREATE TEMP TABLE old_organization_pats (
    id uuid, organization_name text, organization_url text, expira_em timestamp, ativo boolean
) ON COMMIT DROP;

-- What an operator has to know about a row. `is_obstacle`: the row cannot be taken, so nothing is.
CREATE TEMP TABLE decisions (
    n bigint GENERATED ALWAYS AS IDENTITY, tabela text, id text, decision text, before text, after text,
    is_obstacle boolean NOT NULL DEFAULT false
) ON COMMIT DROP;
