//! Maps errors of sea-orm to errors of the domain, by SQLite's extended result codes
//! (<https://sqlite.org/rescode.html>) and never by the text of a message.

use domain::{Error, Service};
use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

/// Primary result codes that allow a retry: `SQLITE_BUSY`, `_LOCKED`, `_NOMEM`, `_READONLY`, `_IOERR`, `_FULL`, `_CANTOPEN`.
const UNAVAILABLE: [u32; 7] = [5, 6, 7, 8, 10, 13, 14];
/// `SQLITE_CONSTRAINT_FOREIGNKEY`, and `SQLITE_CONSTRAINT_TRIGGER`, which `ON DELETE RESTRICT` returns.
const FOREIGN_KEY: [u32; 2] = [787, 1811];

/// Maps an error of a statement that violates no constraint. A violated constraint is `Internal`.
pub(crate) fn into_domain(error: DbErr) -> Error {
    let is_unavailable = matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_))
        || matches!(sqlx_error(&error), Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed))
        || code(&error).is_some_and(|code| UNAVAILABLE.contains(&(code & 0xff)));
    if is_unavailable {
        Error::Unavailable { service: Service::Database, retry_after: None, cause: Box::new(error) }
    } else {
        Error::internal(error)
    }
}

/// Returns whether a foreign key is violated. The statement decides which of its two meanings that has: the parent does
/// not exist, or it is still in use.
pub(crate) fn is_foreign_key(error: &DbErr) -> bool {
    code(error).is_some_and(|code| FOREIGN_KEY.contains(&code))
}

/// Returns `meaning` for a violated foreign key, and maps other errors as [`into_domain`] does.
pub(crate) fn on_foreign_key(error: DbErr, meaning: Error) -> Error {
    if is_foreign_key(&error) { meaning } else { into_domain(error) }
}

/// Returns the message of SQLite, for the terminal.
pub(crate) fn reason(error: &DbErr) -> String {
    sqlx_error(error).map_or_else(|| error.to_string(), sqlx_reason)
}

/// Returns the message of SQLite from an error of sqlx.
pub(crate) fn sqlx_reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}

/// Returns whether another connection holds the lock (`SQLITE_BUSY`).
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    sqlx_code(error).is_some_and(|code| code & 0xff == 5)
}

fn code(error: &DbErr) -> Option<u32> {
    sqlx_code(sqlx_error(error)?)
}

fn sqlx_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}
