//! What the errors of sea-orm mean to the domain: the only place that looks into them. It goes by kinds, codes and the
//! names of constraints, never by the text of a message, which depends on the server's language.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::{Error, Service};
use sea_orm::sqlx;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// A role lacks a privilege.
pub(crate) const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// No schema of the search path can be used.
pub(crate) const INVALID_SCHEMA_NAME: &str = "3F000";
/// A lock was not there in time.
pub(crate) const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Codes that say «not now», beside the classes in [`UNAVAILABLE_CLASSES`].
const UNAVAILABLE_CODES: [&str; 4] = [
    "25006", // A server that takes no writes: the old primary after a failover.
    "40001", // Two transactions that could not be put in an order.
    "40P01", // A deadlock.
    LOCK_NOT_AVAILABLE,
];
/// 08: the connection failed. 53: connections, memory or disk used up. 57: the server starts, stops or cancelled the
/// statement, as it does after `statement_timeout`.
const UNAVAILABLE_CLASSES: [&str; 3] = ["08", "53", "57"];

/// A failure of a statement for which no constraint is expected to break: if one does, that is a bug here.
pub(crate) fn from(error: DbErr) -> Error {
    if is_unavailable(&error) {
        Error::Unavailable { service: Service::Database, retry_after: None, cause: Box::new(error) }
    } else {
        Error::internal(error)
    }
}

/// A failure of a statement that breaks `constraint` when `meaning` is the case. The caller says it, since one
/// foreign key can mean two things: a parent that is unknown, and a parent still in use.
pub(crate) fn on(error: DbErr, constraint: &str, meaning: Error) -> Error {
    match database_error(&error) {
        Some(database) if database.constraint() == Some(constraint) => meaning,
        _ => from(error),
    }
}

/// Whether the connection broke under a statement, so that another connection may have better luck.
pub(crate) fn is_broken_connection(error: &DbErr) -> bool {
    match (error, sqlx_error(error)) {
        // There was no connection yet.
        (DbErr::Conn(_), _) => false,
        (_, Some(sqlx::Error::Io(error))) => error.kind() != io::ErrorKind::TimedOut,
        (_, Some(sqlx::Error::Database(error))) => {
            error.code().is_some_and(|code| code.starts_with("08") || ["57P01", "57P02"].contains(&&*code))
        }
        _ => false,
    }
}

/// That there is no connection to be had.
pub(crate) fn no_connection(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    }
}

/// Whether a connection that could not be made may be made in a moment.
pub(crate) fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| UNAVAILABLE_CLASSES.iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// Whether a statement was given up because nobody answered.
pub(crate) fn is_silence(error: &DbErr) -> bool {
    matches!(sqlx_error(error), Some(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
}

/// That nobody answered within `limit`.
pub(crate) fn silence(limit: Duration) -> DbErr {
    let cause = io::Error::new(io::ErrorKind::TimedOut, format!("no answer from the database within {limit:?}"));
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(cause))))
}

/// The SQLSTATE that the server gave.
pub(crate) fn code(error: &DbErr) -> Option<String> {
    database_error(error)?.code().map(Cow::into_owned)
}

/// What happened, in one line for an operator: the server's own words and its code, where it spoke.
pub(crate) fn reason(error: &DbErr) -> String {
    sqlx_error(error).map_or_else(|| in_one_line(&error.to_string()), reason_of_sqlx)
}

/// The same of an error that did not come by way of sea-orm.
pub(crate) fn reason_of_sqlx(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            in_one_line(&format!("{} (SQLSTATE {})", error.message(), error.code().unwrap_or_default()))
        }
        sqlx::Error::Io(error) => in_one_line(&error.to_string()),
        error => in_one_line(&error.to_string()),
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_unavailable(error: &DbErr) -> bool {
    // Whatever stands in the way of a connection, a wrong password as well: it can be put right without a new build.
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    match sqlx_error(error) {
        Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => true,
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
            UNAVAILABLE_CODES.contains(&&*code) || UNAVAILABLE_CLASSES.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    sqlx_error(error)?.as_database_error()
}
