//! The tables of the old service: which form they have, and their rows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, FromRow};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::ImportError;
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
        Ok(Self { connection, schemas })
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

    /// Copies the rows of `schema`, all of one moment, into the temporary tables of `target`.
    pub(super) async fn copy(mut self, schema: &SchemaName, target: &DatabaseTransaction) -> Result<(), DbErr> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0;
                     SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL DateStyle = 'ISO'";
        sqlx::raw_sql(begin).execute(&mut self.connection).await.map_err(db_error::statement_failed)?;
        let tables = self.schemas.remove(schema.as_str()).unwrap_or_default();
        for (table, required, others) in TABLES {
            if let Some(columns) = tables.get(table) {
                let columns: Vec<_> =
                    required.iter().chain(others).filter(|column| columns.contains(**column)).copied().collect();
                let sql = format!(
                    "SELECT row_to_json(t)::text FROM (SELECT {} FROM {}.{table}) t",
                    columns.join(", "),
                    schema.quoted()
                );
                copy_table(&mut self.connection, sql, table, target).await?;
            }
        }
        // The rows are read, so an error while closing changes nothing.
        drop(self.connection.close().await);
        Ok(())
    }
}

async fn copy_table(
    source: &mut PgConnection,
    sql: String,
    table: &str,
    target: &DatabaseTransaction,
) -> Result<(), DbErr> {
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(source);
    let mut batch = String::new();
    while let Some(row) = rows.try_next().await.map_err(db_error::statement_failed)? {
        let (row,): (String,) = read(&row)?;
        batch.push(if batch.is_empty() { '[' } else { ',' });
        batch.push_str(&row);
        if BATCH_BYTES <= batch.len() {
            insert(std::mem::take(&mut batch), table, target).await?;
        }
    }
    if batch.is_empty() { Ok(()) } else { insert(batch, table, target).await }
}

async fn insert(mut batch: String, table: &str, target: &DatabaseTransaction) -> Result<(), DbErr> {
    batch.push(']');
    let sql = format!("INSERT INTO old_{table} SELECT * FROM json_populate_recordset(NULL::old_{table}, $1::json)");
    target.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [batch.into()])).await.map(drop)
}

fn is_old(tables: &Tables) -> bool {
    tables.get("projetos").is_some_and(|columns| columns.contains("external_id")) && tables.contains_key("atividades")
}

fn read<T: for<'r> FromRow<'r, PgRow>>(row: &PgRow) -> Result<T, DbErr> {
    T::from_row(row).map_err(db_error::statement_failed)
}
