//! The statements of the import, with the expressions that they have in common.

/// Temporary tables of the old rows.
pub(super) const STAGING: &str = include_str!("sql/staging.sql");
/// Compares hours before and after.
pub(super) const SUMS: &str = include_str!("sql/sums.sql");

/// White space of Unicode, which the domain removes from names.
const WHITE_SPACE: &str = "(E' \\t\\n\\x0b\\f\\r' || U&'\\0085\\00a0\\1680\\2000\\2001\\2002\\2003\\2004\\2005\\2006\\2007\
    \\2008\\2009\\200a\\2028\\2029\\202f\\205f\\3000')";
/// At most 64 KiB. 16,384 characters never take more.
const DESCRIPTION: &str = "CASE WHEN octet_length(descricao) <= 65536 THEN descricao
    WHEN octet_length(left(descricao, 65536)) <= 65536 THEN left(descricao, 65536) ELSE left(descricao, 16384) END";

/// The statements that plan every row and say what is decided about it. `time_zone` is that of columns with local times.
pub(super) fn plan(time_zone: &str) -> String {
    let statements =
        [include_str!("sql/projects.sql"), include_str!("sql/rows.sql"), include_str!("sql/decisions.sql")];
    let replacements = [
        ("{WHITE_SPACE}", WHITE_SPACE.to_owned()),
        ("{DESCRIPTION}", DESCRIPTION.to_owned()),
        ("{SYNCED}", usable("last_sync_at", "")),
        ("{CREATED}", usable("created_at", "")),
        ("{UPDATED}", usable("updated_at", "")),
        // The ORM of the old service wrote UTC into columns without a time zone.
        ("{CREATED_UTC}", usable("criado_em", " AT TIME ZONE 'UTC'")),
        ("{UPDATED_UTC}", usable("atualizado_em", " AT TIME ZONE 'UTC'")),
        ("{TIME_ZONE}", literal(time_zone)),
    ];
    replacements.into_iter().fold(statements.concat(), |sql, (name, text)| sql.replace(name, &text))
}

/// The statements that bring the tables to the plan. `state` is the schema of the import's own tables, quoted.
pub(super) fn merge(state: &str) -> String {
    include_str!("sql/merge.sql").replace("{STATE}", state)
}

/// A time that the API can represent, or NULL.
fn usable(column: &str, conversion: &str) -> String {
    format!("CASE WHEN {column} BETWEEN '0001-01-01' AND '9999-12-31' THEN {column}{conversion} END")
}

/// `standard_conforming_strings` is on in every supported version, but may be switched off.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
