//! What the errors of sea-orm mean to the domain: the only place that looks into them. It goes by SQLite's extended
//! result codes (<https://sqlite.org/rescode.html>), never by the text of a message.

use domain::{Error, Service};
use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

/// Primary codes that say «not now»: `SQLITE_BUSY`, `_LOCKED`, `_NOMEM`, `_READONLY`, `_IOERR`, `_FULL`, `_CANTOPEN`.
const UNAVAILABLE: [u32; 7] = [5, 6, 7, 8, 10, 13, 14];
/// `SQLITE_CONSTRAINT_FOREIGNKEY`, and `SQLITE_CONSTRAINT_TRIGGER`, which is what `ON DELETE RESTRICT` answers.
const FOREIGN_KEY: [u32; 2] = [787, 1811];

/// A failure of a statement for which no constraint is expected to break: if one does, that is a bug here.
pub(crate) fn from(error: DbErr) -> Error {
    let is_unavailable = matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_))
        || matches!(sqlx_error(&error), Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed))
        || code(&error).is_some_and(|code| UNAVAILABLE.contains(&(code & 0xff)));
    if is_unavailable {
        Error::Unavailable { service: Service::Database, retry_after: None, cause: Box::new(error) }
    } else {
        Error::internal(error)
    }
}

/// A failure of a statement that breaks the foreign key when `meaning` is the case. There is one such key, and the
/// caller says which of its two faults a statement can have.
pub(crate) fn on_foreign_key(error: DbErr, meaning: Error) -> Error {
    if code(&error).is_some_and(|code| FOREIGN_KEY.contains(&code)) { meaning } else { from(error) }
}

/// What happened, for the person at the terminal.
pub(crate) fn reason_of(error: &DbErr) -> String {
    sqlx_error(error).map_or_else(|| error.to_string(), reason)
}

/// The same of an error that did not come by way of sea-orm.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}

/// Whether another connection has the file (`SQLITE_BUSY`).
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
