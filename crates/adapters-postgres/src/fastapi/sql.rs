//! The statements of the import, with the expressions that they have in common.

/// Temporary tables of the old rows.
pub(super) const STAGING: &str = include_str!("sql/staging.sql");
/// The group of a time entry. MD5 is the same on every server.
pub(super) const GROUP: &str = "('x' || left(md5(COALESCE(id::text, '')), 4))::bit(16)::integer";
/// The property by which hours are grouped.
pub(super) const GROUPED: &str = "CASE WHEN grouping(usuario_id) = 0 THEN 'persons'
    WHEN grouping(work_item_id) = 0 THEN 'work items' WHEN grouping(id_atividade) = 0 THEN 'activities' ELSE 'months' END";
/// Its value.
pub(super) const KEY: &str = "COALESCE(usuario_id, work_item_id::text, id_atividade::text, month::text)";

/// White space of Unicode, which the domain removes from names.
const WHITE_SPACE: &str = "(E' \\t\\n\\x0b\\f\\r' || U&'\\0085\\00a0\\1680\\2000\\2001\\2002\\2003\\2004\\2005\\2006\\2007\
    \\2008\\2009\\200a\\2028\\2029\\202f\\205f\\3000')";
/// At most 64 KiB. 16,384 characters never take more.
const DESCRIPTION: &str = "CASE WHEN octet_length(descricao) <= 65536 THEN descricao
    WHEN octet_length(left(descricao, 65536)) <= 65536 THEN left(descricao, 65536) ELSE left(descricao, 16384) END";

/// The hash of a time entry `e`, by which a later import knows whether it has changed.
pub(super) const ENTRY_HASH: &str =
    "md5(ROW(e.id, e.id_projeto, e.id_atividade, e.work_item_id, e.organizacao, e.data, e.minutos,
    e.comentario, e.usuario_id, e.usuario_nome, e.usuario_email, e.criado_em, e.atualizado_em)::text)";
/// The hash of an activity `a` with its projects after the first.
pub(super) const ACTIVITY_HASH: &str = "md5(ROW(a.id, a.nome, a.descricao, a.ativo, a.id_projeto,
    ARRAY(SELECT ap.id_projeto FROM atividade_projetos ap WHERE ap.id_atividade = a.id ORDER BY ap.lugar),
    a.criado_por, a.criado_em, a.atualizado_em)::text)";
/// The same hash of a planned activity `a`.
const PLANNED_ACTIVITY_HASH: &str =
    "md5(ROW(a.id, a.nome, a.descricao, a.ativo, a.id_projeto, a.outros, a.criado_por, a.criado_em,
    a.atualizado_em)::text)";

/// The statement that finds the projects. Every entry and activity refers to one of them.
pub(super) fn projects() -> String {
    replace(include_str!("sql/projects.sql").to_owned())
}

/// The statements that plan every row and say what is decided about it. `time_zone` is that of columns with local times.
pub(super) fn plan(time_zone: &str) -> String {
    let statements = [include_str!("sql/rows.sql"), include_str!("sql/decisions.sql")];
    replace(statements.concat()).replace("{TIME_ZONE}", &literal(time_zone))
}

fn replace(statements: String) -> String {
    let replacements = [
        ("{WHITE_SPACE}", WHITE_SPACE.to_owned()),
        ("{DESCRIPTION}", DESCRIPTION.to_owned()),
        ("{SYNCED}", usable("last_sync_at", "")),
        ("{CREATED}", usable("created_at", "")),
        ("{UPDATED}", usable("updated_at", "")),
        // The ORM of the old service wrote UTC into columns without a time zone.
        ("{CREATED_UTC}", usable("criado_em", " AT TIME ZONE 'UTC'")),
        ("{UPDATED_UTC}", usable("atualizado_em", " AT TIME ZONE 'UTC'")),
    ];
    replacements.into_iter().fold(statements, |sql, (name, text)| sql.replace(name, &text))
}

/// The statement that groups what was imported. `state` is the schema of the import's own tables, quoted.
pub(super) fn own_groups(state: &str) -> String {
    with_state(include_str!("sql/own_groups.sql"), state)
}

/// The statement that finds the groups of which entries changed.
pub(super) fn scope(state: &str) -> String {
    with_state(include_str!("sql/scope.sql"), state)
}

/// The statements that bring the tables to the plan.
pub(super) fn merge(state: &str) -> String {
    with_state(include_str!("sql/merge.sql"), state)
}

/// The statement that finds the rows that changed in the new service only.
pub(super) fn changed_here(state: &str) -> String {
    with_state(include_str!("sql/changed_here.sql"), state)
}

/// The statements that add up the hours in the new tables.
pub(super) fn new_hours(state: &str) -> String {
    with_state(include_str!("sql/new_hours.sql"), state).replace("{GROUPED}", GROUPED).replace("{KEY}", KEY)
}

fn with_state(statements: &str, state: &str) -> String {
    let statements = statements.replace("{STATE}", state).replace("{ENTRY_HASH}", ENTRY_HASH);
    statements.replace("{ACTIVITY_HASH}", ACTIVITY_HASH).replace("{PLANNED_ACTIVITY_HASH}", PLANNED_ACTIVITY_HASH)
}

/// A time that the API can represent, or NULL.
fn usable(column: &str, conversion: &str) -> String {
    format!("CASE WHEN {column} BETWEEN '0001-01-01' AND '9999-12-31' THEN {column}{conversion} END")
}

/// `standard_conforming_strings` is on in every supported version, but may be switched off.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
