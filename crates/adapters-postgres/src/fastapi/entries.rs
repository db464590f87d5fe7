//! The statements that read the time entries of the old service. They run there, so that a later import reads only the rows that
//! changed.

use super::sql;

/// The table of the time entries, and its columns that are read.
pub(super) struct Entries {
    table: String,
    columns: Vec<&'static str>,
}

impl Entries {
    pub(super) const fn new(table: String, columns: Vec<&'static str>) -> Self {
        Self { table, columns }
    }

    /// Whole rows with their digests, of `groups` or all.
    pub(super) fn rows(&self, groups: Option<&[i32]>) -> String {
        let Self { table, columns } = self;
        let only = groups.map_or_else(String::new, |groups| {
            let groups: Vec<_> = groups.iter().map(i32::to_string).collect();
            format!(" WHERE {} = ANY('{{{}}}')", sql::GROUP, groups.join(","))
        });
        format!("SELECT {}, {} AS resumo FROM {table}{only}", columns.join(", "), self.digest())
    }

    /// The number of entries for each project and activity that they name.
    pub(super) fn references(&self) -> String {
        format!("SELECT project_id, id_atividade, count(*) AS entries FROM {} GROUP BY 1, 2", self.table)
    }

    /// The digest of each group.
    pub(super) fn groups(&self) -> String {
        let (group, digest, table) = (sql::GROUP, self.digest(), &self.table);
        format!("SELECT {group} AS grupo, count(*) AS entries, sum({digest}) AS resumo FROM {table} GROUP BY 1")
    }

    /// The hours by person, work item, activity and month, of all entries but those with the ids of `without`.
    pub(super) fn hours(&self, without: &[String]) -> String {
        let column = |name| if self.columns.contains(&name) { name } else { "NULL" };
        let (duracao, horas, minutos) = (column("duracao"), column("horas"), column("minutos"));
        let (what, key, table, without) = (sql::GROUPED, sql::KEY, &self.table, without.join(","));
        format!(
            "SELECT {what} AS what, {key} AS key, count(*) AS entries, sum(minutos)::bigint AS minutos
             FROM (SELECT usuario_id::text AS usuario_id, work_item_id, id_atividade, date_trunc('month', data_apontamento)::date AS month,
                          CASE WHEN btrim({duracao}) <> '' THEN extract(epoch FROM btrim({duracao})::interval) / 60
                               ELSE {horas}::bigint * 60 + COALESCE({minutos}, 0) END AS minutos
                   FROM {table} WHERE id <> ALL ('{{{without}}}'::uuid[])) e
             GROUP BY GROUPING SETS ((usuario_id), (work_item_id), (id_atividade), (month))"
        )
    }

    /// The digest of a row. The function is that of hash partitions, which a newer release may not change. If it did, all rows
    /// would be read again.
    fn digest(&self) -> String {
        format!("hashtextextended(ROW({})::text COLLATE \"C\", 0)", self.columns.join(", "))
    }
}
