//! Maps errors of sea-orm to the domain. Only this module inspects them, by kind, SQLSTATE and name of the constraint. It
//! does not use message texts, which depend on the server's language.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coalescer::CallError;
use domain::{Conflict, Error, Service};
use sea_orm::sqlx::{self, postgres::PgDatabaseError};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// Retryable SQLSTATEs beside the classes in [`UNAVAILABLE_CLASSES`]: a read-only server (25006), a serialization failure
/// or deadlock (40001, 40P01), and a lock that is not available (55P03).
const UNAVAILABLE_CODES: [&str; 4] = [READ_ONLY, "40001", "40P01", "55P03"];
/// 08: connection exception. 53: insufficient connections, memory or disk. 57: operator intervention, which includes start,
/// stop and `statement_timeout`.
const UNAVAILABLE_CLASSES: [&str; 3] = ["08", "53", "57"];
/// The prefix of the reason of [`unacceptable_server`].
const UNACCEPTABLE_SERVER: &str = "the server is not of the kind of target_session_attrs";
/// The server accepts no writes: a standby, or `default_transaction_read_only`.
const READ_ONLY: &str = "25006";
/// No statement succeeds on the same connection after these: the server closes it (57P01 to 57P03, 57P05), or it is
/// read-only. A pooler reports a lost server with class 08.
const FATAL_CODES: [&str; 5] = [READ_ONLY, "57P01", "57P02", "57P03", "57P05"];

/// The cause of a domain error for the log. sqlx's `Debug` would show the server's DETAIL, which contains values of rows.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DatabaseFailure(String);

/// Maps an error of a statement that violates no constraint unless this service has a bug.
pub(crate) fn into_domain(error: &DbErr) -> Error {
    let cause = Box::new(DatabaseFailure(reason(error)));
    if is_unavailable(error) {
        Error::Unavailable { service: Service::Database, retry_after: None, cause }
    } else {
        Error::Internal(cause)
    }
}

/// Returns the conflict of the violated constraint, if it is one of `meanings`. The caller names both, because a foreign
/// key has two meanings: the parent does not exist, or it is still in use.
pub(crate) fn on_constraints<const N: usize>(error: &DbErr, meanings: [(&str, Conflict); N]) -> Error {
    let violated = sqlx_error(error).and_then(sqlx::Error::as_database_error).and_then(|error| error.constraint());
    let meaning = meanings.into_iter().find(|(constraint, _)| Some(*constraint) == violated);
    meaning.map_or_else(|| into_domain(error), |(_, conflict)| Error::Conflict(conflict))
}

/// No connection became available within the bound, or too many callers wait.
pub(crate) const fn pool_timed_out() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

/// The pool is closed because the service stops.
pub(crate) const fn pool_closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

/// The server sent neither a response nor the end of the connection within `limit`.
pub(crate) fn no_response(limit: Duration) -> DbErr {
    connection_failed(format_args!("no response from the database within {limit:?}"))
}

/// Maps an error of the coalescer, which has the bounds of the pool.
pub(crate) fn of_call(error: CallError<DbErr>) -> DbErr {
    match error {
        CallError::Timeout => pool_timed_out(),
        CallError::NoOutput => pool_closed(),
        CallError::Batch(error) => error,
    }
}

/// A connection that cannot be opened or used.
pub(crate) fn connection_failed(reason: impl fmt::Display) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(reason.to_string()))
}

/// sqlx's error of a statement.
pub(crate) fn statement_failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

/// sqlx's error of an attempt to connect.
pub(crate) fn connect_failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Whether `constraint` is violated.
pub(crate) fn violates(error: &DbErr, constraint: &str) -> bool {
    let violated = sqlx_error(error).and_then(sqlx::Error::as_database_error).and_then(|error| error.constraint());
    violated == Some(constraint)
}

/// Whether a retry may succeed.
pub(crate) fn is_unavailable(error: &DbErr) -> bool {
    match (error, sqlx_error(error)) {
        // Every reason for a missing connection, including a wrong password, can be corrected without a new build.
        (DbErr::ConnectionAcquire(_) | DbErr::Conn(_), _) => true,
        (_, Some(error)) => match sqlstate(error) {
            Some(code) => is_unavailable_code(code),
            None => is_io(error),
        },
        (_, None) => false,
    }
}

/// Whether the connection must be closed.
pub(crate) fn ends_connection(error: &sqlx::Error) -> bool {
    match sqlstate(error) {
        Some(code) => code.starts_with("08") || FATAL_CODES.contains(&code),
        None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_)),
    }
}

/// Whether the connection failed during a statement, so that another connection may succeed.
pub(crate) fn is_broken_connection(error: &DbErr) -> bool {
    matches!(error, DbErr::Exec(_)) && sqlx_error(error).is_some_and(ends_connection)
}

/// Whether the server rejected a write because it is read-only. It changed nothing.
pub(crate) fn is_read_only(error: &DbErr) -> bool {
    sqlx_error(error).and_then(sqlstate) == Some(READ_ONLY)
}

/// Whether the server, the role or a pooler has reached its connection limit (53300, 53400), or the server is read-only, as
/// a standby is before a failover ends. An open connection may become available meanwhile.
pub(crate) fn is_worth_waiting(error: &DbErr) -> bool {
    matches!(error, DbErr::Conn(RuntimeErr::Internal(reason)) if reason.starts_with(UNACCEPTABLE_SERVER))
        || sqlx_error(error).and_then(sqlstate).is_some_and(|code| matches!(code, "53300" | "53400" | READ_ONLY))
}

/// The server does not match `target_session_attrs`, by default a server that accepts writes.
pub(crate) fn unacceptable_server(is_standby: bool, is_read_only: bool) -> DbErr {
    connection_failed(format_args!(
        "{UNACCEPTABLE_SERVER}: pg_is_in_recovery() is {is_standby}, transaction_read_only is {is_read_only}"
    ))
}

/// Whether a connection may succeed soon: the server is down, starts or has reached its limits.
pub(crate) fn is_temporary(error: &DbErr) -> bool {
    match sqlx_error(error) {
        Some(error) => match sqlstate(error) {
            Some(code) => UNAVAILABLE_CLASSES.iter().any(|class| code.starts_with(class)),
            None => is_io(error),
        },
        None => is_unavailable(error),
    }
}

/// The SQLSTATE, if the server sent one.
pub(crate) fn code(error: &DbErr) -> Option<&str> {
    sqlx_error(error).and_then(sqlstate)
}

/// Formats an error in one line for operators, with the server's message and SQLSTATE.
pub(crate) fn reason(error: &DbErr) -> String {
    let text = match sqlx_error(error) {
        Some(error) => match database_error(error) {
            Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code()),
            None => error.to_string(),
        },
        None => match error {
            DbErr::Conn(RuntimeErr::Internal(reason)) => reason.clone(),
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => "no connection became available in time".to_owned(),
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => "the pool is closed".to_owned(),
            error => error.to_string(),
        },
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_unavailable_code(code: &str) -> bool {
    UNAVAILABLE_CODES.contains(&code) || UNAVAILABLE_CLASSES.iter().any(|class| code.starts_with(class))
}

fn is_io(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    matches!(error, Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed)
}

fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    database_error(error).map(PgDatabaseError::code)
}

fn database_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}
