//! What an import did, read from its temporary tables.

use std::io;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement};

use super::source::Source;
use super::{ImportError, sql};
use crate::SchemaName;

/// Bounds the memory for decisions.
const DECISIONS_PER_PAGE: i64 = 1000;

const ROWS: &str = "
    SELECT 'projetos' AS name, count(*) AS rows FROM old_projetos
    UNION ALL SELECT 'atividades', count(*) FROM old_atividades
    UNION ALL SELECT 'atividade_projeto', count(*) FROM old_atividade_projeto
    UNION ALL SELECT 'apontamentos', COALESCE(sum(entries), 0)::bigint FROM old_references
    UNION ALL SELECT 'organization_pats', count(*) FROM old_organization_pats";
const CHANGES: &str = "
    SELECT tabela, count(*) FILTER (WHERE imported IS NULL) AS new,
           count(*) FILTER (WHERE imported IS NOT NULL AND planned IS NOT NULL) AS changed,
           count(*) FILTER (WHERE planned IS NULL) AS deleted
    FROM changes GROUP BY tabela ORDER BY tabela";
const COUNTS: &str = "
    SELECT tabela, decision, is_obstacle, count(*) AS rows FROM decisions
    GROUP BY tabela, decision, is_obstacle ORDER BY is_obstacle DESC, tabela, decision";
/// Compares hours before and after.
const SUMS: &str = "
    SELECT what, count(*) AS groups, COALESCE(sum(b.minutos), 0)::bigint AS before, COALESCE(sum(a.minutos), 0)::bigint AS after,
           count(*) FILTER (WHERE (a.entries, a.minutos) IS DISTINCT FROM (b.entries, b.minutos)) AS different
    FROM old_hours b FULL JOIN new_hours a USING (what, key) GROUP BY what ORDER BY what";
/// Rows of the new tables that are not as an import left them.
const NEWER: &str = "
    SELECT (SELECT count(*) FROM apontamentos e LEFT JOIN {STATE}.importados i ON i.tabela = 'apontamentos' AND i.id = e.id
            WHERE i.linha IS DISTINCT FROM {ENTRY_HASH})
         + (SELECT count(*) FROM atividades a LEFT JOIN {STATE}.importados i ON i.tabela = 'atividades' AND i.id = a.id
            WHERE i.linha IS DISTINCT FROM {ACTIVITY_HASH})
         + (SELECT count(*) FROM {STATE}.importados i
            WHERE NOT EXISTS (SELECT FROM apontamentos e WHERE e.id = i.id)
              AND NOT EXISTS (SELECT FROM atividades a WHERE a.id = i.id)) AS count";

/// What an operator has to know about a row.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Decision {
    n: i64,
    /// The table of the old service.
    pub tabela: String,
    /// The id of the row, or what else names it.
    pub id: Option<String>,
    /// What happens.
    pub decision: String,
    /// The value in the old table.
    pub before: Option<String>,
    /// The value in the new table.
    pub after: Option<String>,
    /// Whether the row cannot be taken, so that nothing is.
    pub is_obstacle: bool,
}

/// The number of rows with one decision.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct DecisionCount {
    /// The table of the old service.
    pub tabela: String,
    /// What happens.
    pub decision: String,
    /// Whether the rows cannot be taken.
    pub is_obstacle: bool,
    /// The number of rows.
    pub rows: i64,
}

/// The changes of one new table.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ChangeCount {
    /// The table.
    pub tabela: String,
    /// Rows that were added.
    pub new: i64,
    /// Rows that were changed.
    pub changed: i64,
    /// Rows that were deleted.
    pub deleted: i64,
}

/// Minutes before and after, grouped by one property.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Sum {
    /// The property, in the plural.
    pub what: String,
    /// The number of groups.
    pub groups: i64,
    /// The minutes in the old tables.
    pub before: i64,
    /// The minutes in the new tables.
    pub after: i64,
    /// The number of groups whose minutes or entries differ.
    pub different: i64,
}

/// What an import did or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The form of the old tables.
    pub form: String,
    /// The schema of the old tables.
    pub schema: SchemaName,
    /// The time zone of columns with local times.
    pub time_zone: String,
    /// The number of rows of each old table.
    pub rows: Vec<(String, i64)>,
    /// The decisions.
    pub decisions: Vec<DecisionCount>,
    /// The changes. Empty if rows cannot be taken.
    pub changes: Vec<ChangeCount>,
    /// The hours before and after. Empty if rows cannot be taken.
    pub sums: Vec<Sum>,
}

#[derive(FromQueryResult)]
struct CountRow {
    count: i64,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

#[derive(FromQueryResult)]
struct GroupRow {
    grupo: i32,
}

#[derive(FromQueryResult)]
struct RowsRow {
    name: String,
    rows: i64,
}

/// The number of rows that cannot be taken.
pub(super) async fn obstacles(transaction: &DatabaseTransaction) -> Result<i64, DbErr> {
    count(transaction, "SELECT count(*) AS count FROM decisions WHERE is_obstacle".to_owned()).await
}

/// The number of rows that are not as an import left them.
pub(super) async fn newer(transaction: &DatabaseTransaction, state: &str) -> Result<i64, DbErr> {
    transaction.execute_unprepared("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'").await?;
    let newer = NEWER.replace("{STATE}", state).replace("{ENTRY_HASH}", sql::ENTRY_HASH);
    count(transaction, newer.replace("{ACTIVITY_HASH}", sql::ACTIVITY_HASH)).await
}

/// Whether `sql` has no row.
pub(super) async fn is_empty(transaction: &DatabaseTransaction, sql: String) -> Result<bool, DbErr> {
    transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.map(|row| row.is_none())
}

pub(super) async fn read(
    transaction: &DatabaseTransaction,
    form: String,
    schema: SchemaName,
    time_zone: String,
    sums: Option<Vec<Sum>>,
) -> Result<ImportReport, DbErr> {
    let rows = all::<RowsRow>(transaction, ROWS).await?;
    let mut report = ImportReport {
        form,
        schema,
        time_zone,
        rows: rows.into_iter().map(|row| (row.name, row.rows)).collect(),
        decisions: all(transaction, COUNTS).await?,
        changes: Vec::new(),
        sums: Vec::new(),
    };
    if let Some(sums) = sums {
        report.changes = all(transaction, CHANGES).await?;
        report.sums = sums;
    }
    Ok(report)
}

/// Compares the hours of the old service, read from `source`, with those in the new tables.
pub(super) async fn sums(
    transaction: &DatabaseTransaction,
    source: &mut Source,
    state: &str,
) -> Result<Vec<Sum>, DbErr> {
    transaction.execute_unprepared("TRUNCATE old_hours").await?;
    let conflicts = "SELECT id::text AS id FROM conflicts WHERE tabela = 'apontamentos'";
    let conflicts: Vec<_> = all::<IdRow>(transaction, conflicts).await?.into_iter().map(|row| row.id).collect();
    source.copy_hours(&conflicts, transaction, &sql::new_hours(state)).await?;
    all(transaction, SUMS).await
}

/// Takes the rows that changed in the new service only out of the comparison. Returns their number.
pub(super) async fn leave_changed_here(transaction: &DatabaseTransaction, state: &str) -> Result<u64, DbErr> {
    transaction.execute_unprepared(&sql::changed_here(state)).await.map(|done| done.rows_affected())
}

/// The groups of time entries that have to be read.
pub(super) async fn groups(
    transaction: &DatabaseTransaction,
    source: &mut Source,
    state: &str,
) -> Result<Vec<i32>, DbErr> {
    source.copy_groups(transaction, &sql::own_groups(state)).await?;
    transaction.execute_unprepared(&sql::scope(state)).await?;
    Ok(all::<GroupRow>(transaction, "SELECT grupo FROM groups_read").await?.into_iter().map(|row| row.grupo).collect())
}

/// Passes every decision to `consume`.
pub(super) async fn decisions(
    transaction: &DatabaseTransaction,
    mut consume: impl FnMut(Decision) -> io::Result<()> + Send,
) -> Result<(), ImportError> {
    let sql = "SELECT * FROM decisions WHERE $1 < n ORDER BY n LIMIT $2";
    transaction.execute_unprepared("CREATE UNIQUE INDEX ON decisions (n)").await?;
    let mut last = 0;
    loop {
        let values = [last.into(), DECISIONS_PER_PAGE.into()];
        let page = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let page = Decision::find_by_statement(page).all(transaction).await?;
        let Some(end) = page.last().map(|decision| decision.n) else { return Ok(()) };
        last = end;
        page.into_iter().try_for_each(&mut consume)?;
    }
}

async fn count(transaction: &DatabaseTransaction, sql: String) -> Result<i64, DbErr> {
    let row = CountRow::find_by_statement(Statement::from_string(DbBackend::Postgres, sql)).one(transaction).await?;
    Ok(row.map_or(0, |row| row.count))
}

async fn all<R: FromQueryResult>(transaction: &DatabaseTransaction, sql: &str) -> Result<Vec<R>, DbErr> {
    R::find_by_statement(Statement::from_string(DbBackend::Postgres, sql)).all(transaction).await
}
