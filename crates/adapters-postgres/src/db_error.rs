//! What went wrong at the database and what it means to the domain: the only place that looks into errors of the driver.
//! It goes by kinds, codes and the names of constraints, never by the text of a message, which depends on the server's
//! language.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::{Error, Service};
use tokio_postgres::error::SqlState;

/// Codes that say «not now», beside the classes in [`UNAVAILABLE_CLASSES`].
const UNAVAILABLE_CODES: [SqlState; 4] = [
    // A server that takes no writes: the old primary after a failover.
    SqlState::READ_ONLY_SQL_TRANSACTION,
    // Two transactions that could not be put in an order.
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::LOCK_NOT_AVAILABLE,
];
/// 08: the connection failed. 53: connections, memory or disk used up. 57: the server starts, stops or cancelled the
/// statement, as it does after `statement_timeout`.
const UNAVAILABLE_CLASSES: [&str; 3] = ["08", "53", "57"];

/// Why a statement has no answer. What the driver says is no `source`: its text, and so its `Debug`, has the details of
/// the server, which are values of rows.
#[derive(thiserror::Error)]
pub(crate) enum DbError {
    /// The server refused it, or the connection broke under it.
    #[error("a statement failed: {}", reason(.0))]
    Statement(tokio_postgres::Error),
    /// No connection could be made.
    #[error("no connection to the database: {}", reason(.0))]
    Connect(tokio_postgres::Error),
    /// Others had all connections for as long as one may wait, or so many waited already that it would be in vain.
    #[error("no connection was free in time")]
    Crowded,
    /// The connections are closed, because the service stops.
    #[error("the connections are closed")]
    Closed,
    /// Nothing came back, neither an answer nor the end of the connection.
    #[error("no answer from the database within {0:?}")]
    Silence(Duration),
    /// What failed was for several, of whom this is one.
    #[error("{0}")]
    Shared(Arc<Self>),
    /// What was kept as JSON is none, or something cannot be.
    #[error("an answer that is kept cannot be read or written")]
    Json(#[from] serde_json::Error),
}

impl fmt::Debug for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DbError({self})")
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(error)
    }
}

impl DbError {
    /// Whether the connection broke under a statement, so that another connection may have better luck.
    pub(crate) fn is_broken_connection(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        match error.code() {
            Some(code) => {
                code.code().starts_with("08") || [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code)
            }
            None => error.is_closed() || is_io(error),
        }
    }

    /// The name of the constraint that was broken.
    fn constraint(&self) -> Option<&str> {
        match self {
            Self::Statement(error) => error.as_db_error()?.constraint(),
            Self::Shared(error) => error.constraint(),
            _ => None,
        }
    }

    /// Whether it may work in a moment: nothing was wrong with what was asked.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            // Whatever stands in the way of a connection, a wrong password as well: it can be put right without a new
            // build.
            Self::Connect(_) | Self::Crowded | Self::Closed | Self::Silence(_) => true,
            Self::Statement(error) => match error.code() {
                Some(code) => UNAVAILABLE_CODES.contains(code) || is_of_unavailable_class(code),
                None => error.is_closed() || is_io(error),
            },
            Self::Shared(error) => error.is_unavailable(),
            Self::Json(_) => false,
        }
    }
}

/// A failure of a statement for which no constraint is expected to break: if one does, that is a bug here.
pub(crate) fn from(error: DbError) -> Error {
    if error.is_unavailable() {
        Error::Unavailable { service: Service::Database, retry_after: None, cause: Box::new(error) }
    } else {
        Error::internal(error)
    }
}

/// A failure of a statement that breaks `constraint` when `meaning` is the case. The caller says it, since one
/// foreign key can mean two things: a parent that is unknown, and a parent still in use.
pub(crate) fn on(error: DbError, constraint: &str, meaning: Error) -> Error {
    if error.constraint() == Some(constraint) { meaning } else { from(error) }
}

/// Whether a connection that could not be made may be made in a moment.
pub(crate) fn is_temporary(error: &tokio_postgres::Error) -> bool {
    error.code().map_or_else(|| is_io(error), is_of_unavailable_class)
}

/// What happened, in one line for an operator: the server's own words and its code, where it spoke.
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    let text = match (error.as_db_error(), error.source()) {
        (Some(server), _) => format!("{} (SQLSTATE {})", server.message(), server.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_of_unavailable_class(code: &SqlState) -> bool {
    UNAVAILABLE_CLASSES.iter().any(|class| code.code().starts_with(class))
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>)
}
