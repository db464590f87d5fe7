//! The schemas of an import: the old tables move aside into `<schema>_fastapi`, where the import also keeps what it wrote.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::{ImportError, sql};
use crate::SchemaName;

/// What an import wrote and from what: a hash of each row, the digest of its old row, the project of each reference, and when it
/// ran.
const STATE: &str = "
    CREATE TABLE {STATE}.importados (
        tabela text NOT NULL, id uuid NOT NULL, linha text NOT NULL, resumo bigint,
        grupo integer GENERATED ALWAYS AS ({GROUP}) STORED,
        CONSTRAINT importados_pkey PRIMARY KEY (tabela, id)
    );
    CREATE TABLE {STATE}.projetos_de_apontamentos (project_id text PRIMARY KEY, id_projeto uuid NOT NULL);
    CREATE TABLE {STATE}.importacoes (
        feita_em timestamptz NOT NULL DEFAULT now(), origem text NOT NULL, movida boolean NOT NULL
    );";

/// The schema of the service and those beside it.
pub(super) struct Schemas {
    /// Of the service.
    pub(super) own: SchemaName,
    /// Of the old tables that were moved aside, and of the state of the import.
    pub(super) aside: SchemaName,
    /// Of the new tables after an undone import.
    pub(super) undone: SchemaName,
}

impl Schemas {
    pub(super) fn of(own: &SchemaName) -> Result<Self, ImportError> {
        let beside = |suffix: &str| {
            let name = format!("{}_{suffix}", own.as_str());
            SchemaName::parse(&name).map_err(|error| ImportError::Refused(format!("the schema {name:?} {error}")))
        };
        Ok(Self { own: own.clone(), aside: beside("fastapi")?, undone: beside("aponta")? })
    }

    /// Returns the time of the last import and whether it moved the old tables, if there was one.
    pub(super) async fn last_import(&self, transaction: &DatabaseTransaction) -> Result<Option<(String, bool)>, DbErr> {
        if !exists(transaction, "SELECT to_regclass($1) IS NOT NULL", &format!("{}.importacoes", self.aside.quoted()))
            .await?
        {
            return Ok(None);
        }
        let sql = format!(
            "SELECT to_char(max(feita_em) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' AS feita_em,
                    COALESCE(bool_or(movida), false) AS movida FROM {}.importacoes",
            self.aside.quoted()
        );
        let row = transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        row.map(|row| Ok((row.try_get("", "feita_em")?, row.try_get("", "movida")?))).transpose()
    }

    /// Keeps the old service from writing to its tables in our schema until the end of the transaction.
    pub(super) async fn lock_old_tables(&self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        let sql = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')",
            [self.own.as_str().into()],
        );
        let rows = transaction.query_all_raw(sql).await?;
        let names: Vec<String> = rows.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
        transaction.execute_unprepared(&format!("LOCK TABLE {} IN SHARE MODE", names.join(", "))).await.map(drop)
    }

    /// Moves the old tables out of our schema.
    pub(super) async fn move_aside(&self, transaction: &DatabaseTransaction) -> Result<(), ImportError> {
        if self.own.as_str() == "public" {
            return Err(ImportError::Refused(
                "the old tables are in the schema public, which holds extensions as well and cannot be moved: \
                 name another schema in DATABASE_SCHEMA and use --from public"
                    .to_owned(),
            ));
        }
        rename(transaction, &self.own, &self.aside).await
    }

    /// Creates the tables in which the import keeps what it wrote.
    pub(super) async fn create_state(
        &self,
        transaction: &DatabaseTransaction,
        is_moved: bool,
    ) -> Result<(), ImportError> {
        if !is_moved {
            if schema_exists(transaction, &self.aside).await? {
                return Err(ImportError::Refused(format!(
                    "the schema {:?} exists, and the import keeps there what it wrote: rename or drop it",
                    self.aside.as_str()
                )));
            }
            transaction.execute_unprepared(&format!("CREATE SCHEMA {}", self.aside.quoted())).await?;
        }
        let state = STATE.replace("{STATE}", &self.aside.quoted()).replace("{GROUP}", sql::GROUP);
        transaction.execute_unprepared(&state).await?;
        Ok(())
    }

    /// Records an import.
    pub(super) async fn record(
        &self,
        transaction: &DatabaseTransaction,
        origin: &str,
        is_moved: bool,
    ) -> Result<(), DbErr> {
        let sql = format!("INSERT INTO {}.importacoes (origem, movida) VALUES ($1, $2)", self.aside.quoted());
        let insert = Statement::from_sql_and_values(DbBackend::Postgres, sql, [origin.into(), is_moved.into()]);
        transaction.execute_raw(insert).await.map(drop)
    }

    /// Moves the new tables aside and the old ones back, if they were moved.
    pub(super) async fn move_back(&self, transaction: &DatabaseTransaction, is_moved: bool) -> Result<(), ImportError> {
        rename(transaction, &self.own, &self.undone).await?;
        let state = self.aside.quoted();
        let tables = format!("{state}.importados, {state}.projetos_de_apontamentos, {state}.importacoes");
        transaction.execute_unprepared(&format!("DROP TABLE {tables}")).await?;
        if is_moved {
            return rename(transaction, &self.aside, &self.own).await;
        }
        transaction.execute_unprepared(&format!("DROP SCHEMA {state}")).await?;
        Ok(())
    }
}

async fn rename(transaction: &DatabaseTransaction, from: &SchemaName, to: &SchemaName) -> Result<(), ImportError> {
    if schema_exists(transaction, to).await? {
        return Err(ImportError::Refused(format!(
            "the schema {:?} has to move to {:?}, which exists: rename or drop that one",
            from.as_str(),
            to.as_str()
        )));
    }
    let rename = format!("ALTER SCHEMA {} RENAME TO {}", from.quoted(), to.quoted());
    transaction.execute_unprepared(&rename).await?;
    Ok(())
}

async fn schema_exists(transaction: &DatabaseTransaction, schema: &SchemaName) -> Result<bool, DbErr> {
    exists(transaction, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema.as_str()).await
}

/// The only column of `sql`, which binds `text`.
async fn exists(transaction: &DatabaseTransaction, sql: &str, text: &str) -> Result<bool, DbErr> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [text.into()]);
    let row = transaction.query_one_raw(statement).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}
