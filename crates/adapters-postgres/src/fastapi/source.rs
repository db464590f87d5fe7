//! The tables of the old service: which form they have, and their rows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use futures_util::stream::BoxStream;
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, FromRow, Row as _};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::ImportError;
use super::entries::Entries;
use crate::connector::connect_foreign;
use crate::{Config, SchemaName, db_error};

/// The tables, and the columns that are read of each. The first ones are in every form, the others are NULL where they are
/// missing.
const TABLES: [(&str, &[&str], &[&str]); 5] = [
    (
        "projetos",
        &["id", "external_id", "nome"],
        &["descricao", "url", "estado", "organizacao", "last_sync_at", "created_at", "updated_at"],
    ),
    ("atividades", &["id", "nome"], &["descricao", "ativo", "id_projeto", "criado_por", "criado_em", "atualizado_em"]),
    ("atividade_projeto", &["id_atividade", "id_projeto"], &["id", "criado_em"]),
    (
        "apontamentos",
        &["id", "work_item_id", "project_id", "data_apontamento", "id_atividade", "usuario_id"],
        &[
            "organization_name",
            "duracao",
            "horas",
            "minutos",
            "comentario",
            "usuario_nome",
            "usuario_email",
            "criado_em",
            "atualizado_em",
        ],
    ),
    ("organization_pats", &["organization_name"], &["id", "organization_url", "expira_em", "ativo"]),
];
const ENTRIES: &str = "apontamentos";
/// The bound of one statement, in bytes of JSON.
const BATCH_BYTES: usize = 1 << 20;

const COLUMNS: &str = "
    SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND 0 < a.attnum AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relname = ANY($1) AND n.nspname NOT LIKE 'pg\\_%'
    GROUP BY 1, 2";
/// The driver sets the time zone of its session, so the setting of the session is not that of the old service.
const TIME_ZONE: &str = "
    SELECT COALESCE(
        (SELECT split_part(setting, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS setting
         WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND lower(split_part(setting, '=', 1)) = 'timezone'),
        current_setting('log_timezone'))";
const IDENTITY: &str = "
    SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::bigint || ' '
        || extract(epoch FROM pg_postmaster_start_time())::text || ' ' || current_setting('port')";

/// The columns of each table.
type Tables = BTreeMap<String, BTreeSet<String>>;

/// The database of the old service, at one moment.
pub(super) struct Source {
    connection: PgConnection,
    schemas: BTreeMap<String, Tables>,
    /// Set by [`Self::copy`], if the schema has the table.
    entries: Option<Entries>,
}

impl Source {
    /// Connects and reads which tables exist.
    pub(super) async fn open(config: &Config) -> Result<Self, DbErr> {
        let mut connection = connect_foreign(config).await?;
        let names: Vec<_> = TABLES.iter().map(|(name, ..)| *name).collect();
        let rows = sqlx::query(COLUMNS).persistent(false).bind(names).fetch_all(&mut connection).await;
        let mut schemas = BTreeMap::<String, Tables>::new();
        for row in rows.map_err(db_error::statement_failed)? {
            let (schema, table, columns): (String, String, Vec<String>) = read(&row)?;
            schemas.entry(schema).or_default().insert(table, columns.into_iter().collect());
        }
        Ok(Self { connection, schemas, entries: None })
    }

    /// Returns the only schema with tables of the old service.
    pub(super) fn only_schema(&self) -> Result<SchemaName, ImportError> {
        let found: Vec<_> = self.schemas.iter().filter(|(_, tables)| is_old(tables)).map(|(name, _)| name).collect();
        match found.as_slice() {
            [name] => SchemaName::parse(name).map_err(|error| ImportError::Refused(error.to_string())),
            [] => {
                Err(ImportError::Refused("no schema of that database has the tables of the FastAPI service".to_owned()))
            }
            _ => Err(ImportError::Refused(format!(
                "several schemas have its tables: name one of {found:?} with --schema"
            ))),
        }
    }

    /// Returns the form of the tables in words, or why they cannot be read.
    pub(super) fn form(&self, schema: &SchemaName) -> Result<String, ImportError> {
        let name = schema.as_str();
        let Some(tables) = self.schemas.get(name).filter(|tables| is_old(tables)) else {
            let found: Vec<_> = self.schemas.get(name).into_iter().flat_map(Tables::keys).collect();
            return Err(ImportError::Refused(format!(
                "the schema {name:?} does not have the tables of the FastAPI service: it has {found:?} of them, \
                 and projetos.external_id is what tells"
            )));
        };
        for (table, required, _) in TABLES {
            let Some(columns) = tables.get(table) else { continue };
            let missing: Vec<_> = required.iter().filter(|column| !columns.contains(**column)).collect();
            if !missing.is_empty() {
                return Err(ImportError::Refused(format!(
                    "the table {table} of {name:?} lacks the columns {missing:?}"
                )));
            }
        }
        let has = |table: &str, column: &str| tables.get(table).is_some_and(|columns| columns.contains(column));
        Ok(match tables.get("apontamentos") {
            None if !tables.contains_key("atividade_projeto") => {
                "first generation: one project per activity".to_owned()
            }
            None => "second generation without time entries".to_owned(),
            Some(_) if has("apontamentos", "horas") => {
                "second generation after a repair: horas and minutos beside duracao".to_owned()
            }
            Some(_) if !has("apontamentos", "duracao") => {
                return Err(ImportError::Refused(format!("apontamentos of {name:?} has neither duracao nor horas")));
            }
            Some(_) if has("atividades", "id_projeto") => {
                "between the generations: activities with both kinds of projects".to_owned()
            }
            Some(_) => "second generation: activities of several projects, time entries".to_owned(),
        })
    }

    /// Returns the time zone in which the server of the old service wrote local times.
    pub(super) async fn time_zone(&mut self) -> Result<String, DbErr> {
        self.text(TIME_ZONE).await
    }

    /// Returns what two connections to the same database have in common.
    pub(super) async fn identity(&mut self) -> Result<String, DbErr> {
        self.text(IDENTITY).await
    }

    async fn text(&mut self, sql: &'static str) -> Result<String, DbErr> {
        let row = sqlx::query(sql).persistent(false).fetch_one(&mut self.connection).await;
        read(&row.map_err(db_error::statement_failed)?).map(|(text,)| text)
    }

    /// Copies the rows of `schema` except time entries into the temporary tables of `target`, and what these refer to. All that
    /// is read from here on is of one moment.
    pub(super) async fn copy(&mut self, schema: &SchemaName, target: &DatabaseTransaction) -> Result<(), DbErr> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0;
                     SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL DateStyle = 'ISO'; SET LOCAL work_mem = '64MB'";
        sqlx::raw_sql(begin).execute(&mut self.connection).await.map_err(db_error::statement_failed)?;
        let tables = self.schemas.get(schema.as_str()).cloned().unwrap_or_default();
        for (table, required, others) in TABLES {
            let Some(columns) = tables.get(table) else { continue };
            let columns: Vec<_> =
                required.iter().chain(others).filter(|column| columns.contains(**column)).copied().collect();
            if table == ENTRIES {
                self.entries = Some(Entries::new(format!("{}.{ENTRIES}", schema.quoted()), columns));
            } else {
                let sql = format!("SELECT {} FROM {}.{table}", columns.join(", "), schema.quoted());
                copy_rows(&mut self.connection, sql, &format!("old_{table}"), target, "").await?;
            }
        }
        self.copy_of_entries(Entries::references, "old_references", target, "").await
    }

    /// Copies the time entries of `groups`, or all.
    pub(super) async fn copy_entries(
        &mut self,
        groups: Option<&[i32]>,
        target: &DatabaseTransaction,
    ) -> Result<(), DbErr> {
        if groups.is_some_and(<[i32]>::is_empty) {
            return Ok(());
        }
        self.copy_of_entries(|entries| entries.rows(groups), "old_apontamentos", target, "").await
    }

    /// Copies the digests of all time entries. `target` runs `meanwhile` while they are added up.
    pub(super) async fn copy_groups(&mut self, target: &DatabaseTransaction, meanwhile: &str) -> Result<(), DbErr> {
        self.copy_of_entries(Entries::groups, "old_groups", target, meanwhile).await
    }

    /// Copies the hours of all time entries but those with the ids of `without`, and runs `meanwhile`.
    pub(super) async fn copy_hours(
        &mut self,
        without: &[String],
        target: &DatabaseTransaction,
        meanwhile: &str,
    ) -> Result<(), DbErr> {
        self.copy_of_entries(|entries| entries.hours(without), "old_hours", target, meanwhile).await
    }

    async fn copy_of_entries(
        &mut self,
        statement: impl Fn(&Entries) -> String + Send,
        table: &str,
        target: &DatabaseTransaction,
        meanwhile: &str,
    ) -> Result<(), DbErr> {
        match self.entries.as_ref().map(statement) {
            Some(sql) => copy_rows(&mut self.connection, sql, table, target, meanwhile).await,
            None => target.execute_unprepared(meanwhile).await.map(drop),
        }
    }

    /// Ends the session. The rows are read, so an error changes nothing.
    pub(super) async fn close(self) {
        drop(self.connection.close().await);
    }
}

/// Reads the next rows while the last ones are written, and the first ones while `meanwhile` runs.
async fn copy_rows(
    source: &mut PgConnection,
    sql: String,
    table: &str,
    target: &DatabaseTransaction,
    meanwhile: &str,
) -> Result<(), DbErr> {
    let sql = format!("SELECT row_to_json(t)::text FROM ({sql}) t");
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(source);
    let (mut batch, _) = try_join(read_batch(&mut rows), target.execute_unprepared(meanwhile)).await?;
    while !batch.is_empty() {
        (batch, ()) = try_join(read_batch(&mut rows), insert(batch, table, target)).await?;
    }
    Ok(())
}

/// The next rows as a JSON array, or an empty text after the last one.
async fn read_batch(rows: &mut BoxStream<'_, Result<PgRow, sqlx::Error>>) -> Result<String, DbErr> {
    let mut batch = String::new();
    while batch.len() < BATCH_BYTES {
        let Some(row) = rows.try_next().await.map_err(db_error::statement_failed)? else { break };
        batch.push(if batch.is_empty() { '[' } else { ',' });
        batch.push_str(row.try_get(0).map_err(db_error::statement_failed)?);
    }
    if !batch.is_empty() {
        batch.push(']');
    }
    Ok(batch)
}

async fn insert(batch: String, table: &str, target: &DatabaseTransaction) -> Result<(), DbErr> {
    let sql = format!("INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)");
    target.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [batch.into()])).await.map(drop)
}

fn is_old(tables: &Tables) -> bool {
    tables.get("projetos").is_some_and(|columns| columns.contains("external_id")) && tables.contains_key("atividades")
}

fn read<T: for<'r> FromRow<'r, PgRow>>(row: &PgRow) -> Result<T, DbErr> {
    T::from_row(row).map_err(db_error::statement_failed)
}
