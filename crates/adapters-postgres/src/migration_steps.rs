//! The steps of the crate `migration`, which sea-orm takes: on a connection of its own, in one transaction.

use std::borrow::Cow;

use migration::Migrator;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sea_orm::sqlx::{self, ConnectOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use secrecy::ExposeSecret;

use crate::target::Target;
use crate::tls::{Tls, TlsMode, is_pem};
use crate::{Config, SchemaName};

/// What is to be done.
pub(crate) enum Steps<'a> {
    /// So many more steps, or all; first the schema, if it is still to be made.
    Up { steps: Option<u32>, schema: Option<&'a SchemaName> },
    /// So many fewer, or all.
    Down { steps: Option<u32>, is_all: bool },
}

/// Why it was not done, and nothing was.
pub(crate) struct Refusal {
    /// The SQLSTATE, if it was the server.
    pub(crate) code: Option<String>,
    /// One line for an operator.
    pub(crate) reason: String,
}

/// Does it, waiting so long for whoever uses a table.
pub(crate) async fn take(config: &Config, lock_timeout: &str, steps: Steps<'_>) -> Result<(), Refusal> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(config.acquire_timeout);
    let pool = pool.connect_with(options(&config.target)).await.map_err(|error| Refusal::of_sqlx(&error))?;
    let database = DatabaseConnection::from(pool);
    let taken = async {
        let transaction = database.begin().await?;
        let bounds = format!(
            "SET LOCAL search_path = {}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{lock_timeout}'",
            config.schema.quoted()
        );
        transaction.execute_unprepared(&bounds).await?;
        run(&transaction, steps).await?;
        transaction.commit().await
    };
    let taken = taken.await;
    // Whatever came of it, the connection is not needed any more.
    drop(database.close().await);
    taken.map_err(|error| Refusal::of(&error))
}

async fn run(transaction: &DatabaseTransaction, steps: Steps<'_>) -> Result<(), DbErr> {
    match steps {
        Steps::Up { steps, schema } => {
            if let Some(schema) = schema {
                // Not `IF NOT EXISTS`: that asks for the privilege to create schemas even where there is one.
                transaction.execute_unprepared(&format!("CREATE SCHEMA {}", schema.quoted())).await?;
            }
            Migrator::up(transaction, steps).await
        }
        Steps::Down { steps, is_all } => {
            Migrator::down(transaction, steps).await?;
            if is_all { Migrator::uninstall(transaction).await } else { Ok(()) }
        }
    }
}

/// The server as sqlx wants it.
fn options(target: &Target) -> PgConnectOptions {
    let Target { host, port, database, user, password, application_name, tls } = target;
    let mut options = PgConnectOptions::new_without_pgpass().host(host).port(*port).application_name(application_name);
    if let Some(database) = database {
        options = options.database(database);
    }
    if let Some(user) = user {
        options = options.username(user);
    }
    if let Some(password) = password {
        options = options.password(password.expose_secret());
    }
    encrypted(options, tls).disable_statement_logging()
}

fn encrypted(options: PgConnectOptions, tls: &Tls) -> PgConnectOptions {
    let Tls { mode, root_cert, client_cert, client_key } = tls;
    let mut options = options.ssl_mode(match mode {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Prefer => PgSslMode::Prefer,
        TlsMode::Require if root_cert.is_none() => PgSslMode::Require,
        TlsMode::Require | TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    });
    if let Some(root) = root_cert {
        let is_pem = is_pem(root);
        options =
            if is_pem { options.ssl_root_cert_from_pem(root.clone().into()) } else { options.ssl_root_cert(root) };
    }
    if let Some(cert) = client_cert {
        options = if is_pem(cert) { options.ssl_client_cert_from_pem(cert) } else { options.ssl_client_cert(cert) };
    }
    if let Some(key) = client_key.as_ref().map(ExposeSecret::expose_secret) {
        options = if is_pem(key) { options.ssl_client_key_from_pem(key) } else { options.ssl_client_key(key) };
    }
    options
}

impl Refusal {
    fn of(error: &DbErr) -> Self {
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => Self::of_sqlx(error),
            error => Self { code: None, reason: in_one_line(&error.to_string()) },
        }
    }

    /// The server's own words and its code, where it spoke.
    fn of_sqlx(error: &sqlx::Error) -> Self {
        let Some(server) = error.as_database_error() else {
            return Self { code: None, reason: in_one_line(&error.to_string()) };
        };
        let code = server.code().map(Cow::into_owned);
        let told = format!("{} (SQLSTATE {})", server.message(), code.as_deref().unwrap_or_default());
        Self { reason: in_one_line(&told), code }
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
