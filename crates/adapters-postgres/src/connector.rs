//! Opens connections, prepares their session, and checks open ones.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use pg_conninfo::Host;
use pg_conninfo::pooler::{self, Mode, ModeWatch};
use sea_orm::DbErr;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, Connection as _, Row as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::Config;
use crate::db_error;

/// A connection that was idle for longer is checked before use, because firewalls drop idle connections after minutes.
pub(crate) const CHECK_AFTER_IDLE: Duration = Duration::from_secs(10);
/// For this time after a connection failed, all older ones are checked before use. So after a restart or failover one
/// request fails, not one for each connection.
const SUSPECT_WINDOW: Duration = Duration::from_mins(1);
/// The default of `connect_timeout`, for each host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a host may be silent until the next one is tried beside it. A host that has lost its network would otherwise use
/// up the time that callers wait for a connection.
const NEXT_HOST_DELAY: Duration = Duration::from_millis(500);
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// Older connections are replaced, because a backend never returns memory.
const MAX_LIFETIME: Duration = Duration::from_mins(30);
/// How soon the server detects that the client of a running statement has disconnected.
const CLIENT_CHECK_INTERVAL: &str = "500ms";

/// The settings of a session, for [`Mode::Session`] only. The interval cannot be set on Windows.
const PREPARE_SESSION: &str = "
    SELECT set_config('search_path', $1, false), set_config('statement_timeout', $2, false),
           set_config('default_transaction_isolation', 'read committed', false),
           CASE WHEN version() !~* 'windows|mingw|visual c'
                THEN set_config('client_connection_check_interval', $3, false) END";

/// The properties of a server that [`inspect`] checks.
const INSPECT: &str = "
    SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only')::boolean";

/// An open connection.
pub(crate) struct Connection {
    pub(crate) inner: PgConnection,
    pub(crate) mode: Mode,
    opened: Instant,
    /// When it last worked.
    checked: Instant,
}

/// Opens the connections of one pool.
pub(crate) struct Connector {
    config: Config,
    mode: Arc<ModeWatch>,
    /// The runtime that owns the sockets. It outlives those of the actix workers: a connection that a worker opened would fail
    /// when that worker stops, while another one uses it.
    runtime: Handle,
    check_after_idle: Duration,
    suspect_since: Mutex<Option<Instant>>,
}

impl Connector {
    pub(crate) const fn new(config: Config, mode: Arc<ModeWatch>, runtime: Handle, check_after_idle: Duration) -> Self {
        Self { config, mode, runtime, check_after_idle, suspect_since: Mutex::new(None) }
    }

    /// Returns the statement that begins a transaction. Behind a transaction pooler it contains the settings.
    pub(crate) fn begin_statement(&self) -> String {
        begin_statement(&self.config, self.mode.state().0)
    }

    /// Records that a connection failed.
    pub(crate) fn suspect_all(&self) {
        *self.suspect_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_suspect(&self, connection: &Connection) -> bool {
        let since = *self.suspect_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| connection.checked <= since && since.elapsed() < SUSPECT_WINDOW)
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = DbErr;

    async fn create(&self) -> Result<Connection, DbErr> {
        let opening = self.runtime.spawn(open(self.config.clone(), Arc::clone(&self.mode)));
        opening.await.unwrap_or_else(|_| Err(db_error::pool_closed()))
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<DbErr> {
        if MAX_LIFETIME <= connection.opened.elapsed() || connection.mode != self.mode.state().0 {
            return Err(RecycleError::message("outdated"));
        }
        if self.check_after_idle <= metrics.last_used() || self.is_suspect(connection) {
            let check = inspect(connection, &self.config);
            let checked = timeout(CHECK_TIMEOUT, check).await.unwrap_or(Err(db_error::no_response(CHECK_TIMEOUT)));
            checked.map_err(RecycleError::Backend)?;
            connection.checked = Instant::now();
        }
        Ok(())
    }
}

/// Opens a connection to the first host that accepts it and matches `target_session_attrs`.
async fn open(config: Config, mode: Arc<ModeWatch>) -> Result<Connection, DbErr> {
    first_host(&config, |host| open_on(&config, host, &mode)).await
}

/// Tries the hosts in their order, the next one when those before it have failed or are silent for [`NEXT_HOST_DELAY`].
/// Returns the first result of `attempt`, or an error: that of a server that may soon be acceptable, otherwise the last one.
async fn first_host<'a, T, F>(config: &'a Config, attempt: impl Fn(&'a Host) -> F) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    let limit = config.conninfo.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
    let mut hosts = config.conninfo.hosts().iter();
    let mut failure = db_error::connection_failed("the settings name no host");
    let mut attempts = FuturesUnordered::new();
    loop {
        attempts.extend(hosts.next().map(|host| timeout(limit, attempt(host))));
        let next_attempt = if hosts.as_slice().is_empty() { limit } else { NEXT_HOST_DELAY };
        let Ok(ended) = timeout(next_attempt, attempts.next()).await else { continue };
        match ended {
            Some(Ok(Ok(found))) => return Ok(found),
            Some(_) if db_error::is_worth_waiting(&failure) => {}
            Some(Ok(Err(error))) => failure = error,
            Some(Err(_)) => failure = db_error::no_response(limit),
            None => return Err(failure),
        }
    }
}

fn options(config: &Config, host: &Host) -> Result<PgConnectOptions, DbErr> {
    config.conninfo.connect_options(host).map_err(|error| DbErr::Custom(error.to_string()))
}

async fn open_on(config: &Config, host: &Host, mode: &ModeWatch) -> Result<Connection, DbErr> {
    let (_, before) = mode.state();
    let opened = Instant::now();
    let mut inner = PgConnection::connect_with(&options(config, host)?).await.map_err(db_error::connect_failed)?;
    let mode = mode.admit(&mut inner, before).await.map_err(db_error::connect_failed)?;
    let mut connection = Connection { inner, mode, opened, checked: opened };
    if mode == Mode::Session {
        let (search_path, timeout) = (config.schema.quoted(), timeout_milliseconds(config).to_string());
        let prepare = sqlx::query(PREPARE_SESSION).bind(search_path).bind(timeout).bind(CLIENT_CHECK_INTERVAL);
        prepare.execute(&mut connection.inner).await.map_err(db_error::connect_failed)?;
    }
    if mode == Mode::Session && config.is_read_only {
        let prepare = sqlx::raw_sql("SET default_transaction_read_only = on").execute(&mut connection.inner);
        prepare.await.map_err(db_error::connect_failed)?;
    }
    inspect(&mut connection, config).await?;
    Ok(connection)
}

/// Checks encoding and `target_session_attrs` of the server.
async fn inspect(connection: &mut Connection, config: &Config) -> Result<(), DbErr> {
    // The simple protocol, because behind a transaction pooler a prepared statement may belong to another session.
    let row = sqlx::raw_sql(INSPECT).fetch_one(&mut connection.inner).await.map_err(db_error::connect_failed)?;
    let read = |row: &PgRow| Ok((row.try_get::<String, _>(0)?, row.try_get::<bool, _>(1)?, row.try_get::<bool, _>(2)?));
    let (encoding, is_standby, is_read_only) = read(&row).map_err(db_error::connect_failed)?;
    if encoding != "UTF8" {
        return Err(DbErr::Custom(format!(
            "the database has the encoding {encoding}, and the texts of this service need UTF8: \
             CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    if config.conninfo.session_attrs().accepts(is_standby, is_read_only) {
        Ok(())
    } else {
        Err(db_error::unacceptable_server(is_standby, is_read_only))
    }
}

/// Returns the options for a long transaction: those for the first host that matches `target_session_attrs`, of
/// [`Config::direct`] if it is set.
pub(crate) async fn connect_options(config: &Config) -> Result<PgConnectOptions, DbErr> {
    let direct = config.direct();
    let config = direct.as_ref().unwrap_or(config);
    first_host(config, |host| async move {
        let options = options(config, host)?;
        let inner = PgConnection::connect_with(&options).await.map_err(db_error::connect_failed)?;
        let now = Instant::now();
        let mut connection = Connection { inner, mode: Mode::Transaction, opened: now, checked: now };
        inspect(&mut connection, config).await?;
        Ok(options)
    })
    .await
}

/// Opens a connection to a database of another service, which may have another encoding and may be read-only.
pub(crate) async fn connect_foreign(config: &Config) -> Result<PgConnection, DbErr> {
    first_host(config, |host| async move {
        PgConnection::connect_with(&options(config, host)?).await.map_err(db_error::connect_failed)
    })
    .await
}

/// Detects a transaction pooler.
pub(crate) async fn detect_mode(config: &Config) -> Result<ModeWatch, DbErr> {
    first_host(config, |host| async move {
        let detected = pooler::detect(&options(config, host)?).await;
        detected.map(|(mode, seen)| ModeWatch::new(mode, seen)).map_err(db_error::connect_failed)
    })
    .await
}

fn begin_statement(config: &Config, mode: Mode) -> String {
    let begin = if config.is_read_only {
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
    } else {
        "BEGIN ISOLATION LEVEL READ COMMITTED"
    };
    match mode {
        Mode::Session => begin.to_owned(),
        Mode::Transaction => format!(
            "{begin}; SET LOCAL search_path = {}; SET LOCAL statement_timeout = {}",
            config.schema.quoted(),
            timeout_milliseconds(config)
        ),
    }
}

/// Zero would disable the timeout.
fn timeout_milliseconds(config: &Config) -> u128 {
    config.statement_timeout.as_millis().max(1)
}
