//! What an error of sea-orm means to the domain: the only place that looks into one. It goes by kinds, SQLSTATEs and the
//! names of constraints, never by the text of a message, which depends on the server's language.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::{Error, Service};
use sea_orm::sqlx::{self, postgres::PgDatabaseError};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// SQLSTATEs that mean "not now", beside the classes in [`UNAVAILABLE_CLASSES`]: a read-only server (25006), and two
/// transactions that could not be ordered (40001, 40P01) or a lock that was not available (55P03).
const UNAVAILABLE_CODES: [&str; 4] = [READ_ONLY, "40001", "40P01", "55P03"];
/// 08: the connection failed. 53: connections, memory or disk used up. 57: the server starts, stops or cancelled the
/// statement, as it does after `statement_timeout`.
const UNAVAILABLE_CLASSES: [&str; 3] = ["08", "53", "57"];
/// How the reason of a connection to such a server begins.
const UNACCEPTABLE_SERVER: &str = "the server is not of the kind of target_session_attrs";
/// The server accepts no writes: a standby, or `default_transaction_read_only`.
const READ_ONLY: &str = "25006";
/// After these no statement succeeds on the same connection: the server closes it (57P01 to 57P03, 57P05), or it is
/// read-only. A pooler reports a lost server with class 08.
const FATAL_CODES: [&str; 5] = [READ_ONLY, "57P01", "57P02", "57P03", "57P05"];

/// The cause of a domain error, for the log. sqlx's own `Debug` has the server's DETAIL, which holds values of rows.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DatabaseFailure(String);

/// A failure of a statement for which no constraint is expected to break: if one does, that is a bug here.
pub(crate) fn into_domain(error: &DbErr) -> Error {
    let cause = Box::new(DatabaseFailure(reason(error)));
    if is_unavailable(error) {
        Error::Unavailable { service: Service::Database, retry_after: None, cause }
    } else {
        Error::Internal(cause)
    }
}

/// A failure of a statement that breaks `constraint` when `meaning` is the case. The caller names it, since one foreign
/// key can mean two things: a parent that is unknown, and a parent still in use.
pub(crate) fn on_constraint(error: &DbErr, constraint: &str, meaning: Error) -> Error {
    let broken = sqlx_error(error).and_then(sqlx::Error::as_database_error).and_then(|error| error.constraint());
    if broken == Some(constraint) { meaning } else { into_domain(error) }
}

/// No connection became free in time, or too many callers wait for one.
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

/// A connection that cannot be made or used.
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

/// Whether a retry may succeed: the request itself was not at fault.
pub(crate) fn is_unavailable(error: &DbErr) -> bool {
    match (error, sqlx_error(error)) {
        // Whatever stands in the way of a connection, also a wrong password: it can be corrected without a new build.
        (DbErr::ConnectionAcquire(_) | DbErr::Conn(_), _) => true,
        (_, Some(error)) => match sqlstate(error) {
            Some(code) => is_unavailable_code(code),
            None => is_io(error),
        },
        (_, None) => false,
    }
}

/// Whether the connection is of no further use, so that it has to be closed.
pub(crate) fn ends_connection(error: &sqlx::Error) -> bool {
    match sqlstate(error) {
        Some(code) => code.starts_with("08") || FATAL_CODES.contains(&code),
        None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_)),
    }
}

/// Whether the connection broke under a statement that only reads, so that another connection may succeed.
pub(crate) fn is_broken_connection(error: &DbErr) -> bool {
    matches!(error, DbErr::Exec(_)) && sqlx_error(error).is_some_and(ends_connection)
}

/// Whether the server refused a write because it is read-only: nothing was done.
pub(crate) fn is_read_only(error: &DbErr) -> bool {
    sqlx_error(error).and_then(sqlstate) == Some(READ_ONLY)
}

/// Whether a connection could not be made because the server, a role's limit or a pooler has no room for one more
/// (53300, 53400), or because the server is read-only, as a standby is before a failover ends. One that is open may
/// become free meanwhile.
pub(crate) fn is_worth_waiting(error: &DbErr) -> bool {
    matches!(error, DbErr::Conn(RuntimeErr::Internal(reason)) if reason.starts_with(UNACCEPTABLE_SERVER))
        || sqlx_error(error).and_then(sqlstate).is_some_and(|code| matches!(code, "53300" | "53400" | READ_ONLY))
}

/// The error of a connection to a server that is not what `target_session_attrs` asks for, by default one that accepts
/// writes.
pub(crate) fn unacceptable_server(is_standby: bool, is_read_only: bool) -> DbErr {
    connection_failed(format_args!(
        "{UNACCEPTABLE_SERVER}: pg_is_in_recovery() is {is_standby}, transaction_read_only is {is_read_only}"
    ))
}

/// Whether a connection that could not be made may be made in a moment: the server is down, starts or has no room.
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

/// What happened, in one line for an operator: the server's own message and its SQLSTATE, if the server sent them.
pub(crate) fn reason(error: &DbErr) -> String {
    let text = match sqlx_error(error) {
        Some(error) => match database_error(error) {
            Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code()),
            None => error.to_string(),
        },
        None => match error {
            DbErr::Conn(RuntimeErr::Internal(reason)) => reason.clone(),
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => "no connection was free in time".to_owned(),
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => "the connections are closed".to_owned(),
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
