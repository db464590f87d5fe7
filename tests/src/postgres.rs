//! The one PostgreSQL of all Rust tests: a private cluster, run by `tests/postgres.sh`.
//!
//! The script runs until a pipe that this process holds is closed. The cluster therefore stops when the test process
//! ends, even if that process is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// An empty PostgreSQL server on a free port of 127.0.0.1.
pub struct Cluster {
    script: Mutex<Script>,
    programs: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
}

/// The process that owns the server.
struct Script {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Cluster {
    /// The name of the superuser.
    pub const SUPERUSER: &str = "postgres";
    /// The address on which the server listens.
    pub const HOST: &str = "127.0.0.1";

    /// Returns the cluster that all tests of one binary share. It stops when the process ends.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts another cluster, for tests that stop it or change its settings. It stops when it is dropped.
    ///
    /// # Panics
    /// If it does not start, for example because PostgreSQL is not installed; the script then prints the reason.
    #[must_use]
    pub fn start() -> Self {
        Self::run(&[])
    }

    /// Starts a standby of this cluster, which stops when it is dropped.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_standby(&self) -> Self {
        let Self { password, port, .. } = self;
        Self::run(&[format!("postgres://{}:{password}@{}:{port}/postgres", Self::SUPERUSER, Self::HOST)])
    }

    fn run(arguments: &[String]) -> Self {
        let mut process = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/postgres.sh"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres.sh can be started");
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let mut script = Script { process, stdin, stdout };
        let ready = script.read_line();
        let (port, password, programs) = parse(&ready).unwrap_or_else(|| {
            panic!("tests/postgres.sh did not start PostgreSQL, see stderr; ./tests/run.sh installs what is missing")
        });
        let databases = AtomicU32::new(0);
        Self { script: Mutex::new(script), programs, port, password, databases }
    }

    /// Returns the port of the server.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the password of [`Self::SUPERUSER`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the directory of PostgreSQL's programs.
    #[must_use]
    pub const fn programs(&self) -> &PathBuf {
        &self.programs
    }

    /// Creates an empty database.
    pub fn create_database(&self) -> Database<'_> {
        self.create("template1")
    }

    /// Copies `template`, which must have no open connection.
    pub fn create_database_from(&self, template: &Database<'_>) -> Database<'_> {
        self.create(&template.name)
    }

    fn create(&self, template: &str) -> Database<'_> {
        let name = format!("teste_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log"));
        Database { cluster: self, name }
    }

    /// Runs statements in the database `postgres`, as the superuser.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn execute(&self, sql: &str) {
        self.psql("postgres", sql).expect("psql succeeds");
    }

    /// Returns the rows of a query in the database `postgres`, as [`Database::query`] does.
    ///
    /// # Panics
    /// If the statement fails.
    #[must_use]
    pub fn query(&self, sql: &str) -> String {
        self.psql("postgres", sql).expect("psql succeeds")
    }

    /// Stops the server in fast mode: it closes every connection with a message.
    pub fn stop(&self) {
        self.command("stop");
    }

    /// Stops the server in immediate mode, as a crash would.
    pub fn kill(&self) {
        self.command("kill");
    }

    /// Starts a stopped server again, with the same data and port.
    pub fn restart(&self) {
        self.command("start");
    }

    fn command(&self, command: &str) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let stdin = script.stdin.as_mut().expect("stdin is closed on drop only");
        writeln!(stdin, "{command}").expect("tests/postgres.sh reads commands");
        assert_eq!(script.read_line(), format!("{command}: done"));
    }

    /// Returns the output of the statements, or the message of psql for the first that fails.
    fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", Self::HOST, "-U", Self::SUPERUSER])
            .args(["-p", &self.port.to_string(), "-d", database])
            .env("PGPASSWORD", &self.password)
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGTZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql can be started");
        // The pipe is closed at once, because psql exits at the end of its input.
        psql.stdin.take().expect("stdin is a pipe").write_all(sql.as_bytes()).expect("psql reads");
        let output = psql.wait_with_output().expect("psql ends");
        if !output.status.success() {
            return Err(format!("{sql}\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }
}

impl Script {
    /// Returns the next line of its output, or an empty string after its end.
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the output of tests/postgres.sh is text");
        line.trim_end().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // A destructor cannot return an error.
        let _ = self.process.wait();
    }
}

/// Parses port, password and directory of programs from `postgres://user:password@host:port/database programs`.
fn parse(ready: &str) -> Option<(u16, String, PathBuf)> {
    let (url, programs) = ready.split_once(' ')?;
    let (user, address) = url.split_once('@')?;
    let password = user.rsplit_once(':')?.1;
    let port = address.split_once(':')?.1.split_once('/')?.0;
    Some((port.parse().ok()?, password.to_owned(), programs.into()))
}

/// A database of a [`Cluster`], removed on drop together with its open connections.
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Database<'_> {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL with the superuser and the password.
    #[must_use]
    pub fn url(&self) -> String {
        let Cluster { password, port, .. } = self.cluster;
        format!("postgres://{}:{password}@{}:{port}/{}", Cluster::SUPERUSER, Cluster::HOST, self.name)
    }

    /// Runs statements as the superuser.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn execute(&self, sql: &str) {
        let _ = self.query(sql);
    }

    /// Returns the rows of a query: a line for each row, `|` between columns, an empty string for NULL, times in UTC.
    ///
    /// # Panics
    /// If the statement fails.
    #[must_use]
    pub fn query(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql).expect("psql succeeds")
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // Fails if the test has stopped the server; the database is then removed with the cluster.
        let _ = self.cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_copy_has_rows_of_template_and_others_do_not() {
        let (first, second) = (Cluster::shared().create_database(), Cluster::shared().create_database());

        first.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'ação'), (2, NULL);");
        let copy = Cluster::shared().create_database_from(&first);

        assert_eq!(copy.query("SELECT * FROM t ORDER BY a"), "1|ação\n2|");
        assert_eq!(second.query("SELECT to_regclass('t') IS NULL"), "t");
    }

    #[test]
    fn cluster_after_stop_or_crash_restarts_with_its_data() {
        let cluster = Cluster::start();
        let database = cluster.create_database();
        database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1);");

        for end in [Cluster::stop, Cluster::kill] {
            end(&cluster);
            assert!(std::net::TcpStream::connect((Cluster::HOST, cluster.port())).is_err());
            cluster.restart();
            assert_eq!(database.query("SELECT a FROM t"), "1");
        }
    }

    #[test]
    fn cluster_on_drop_removes_its_directory_and_port() {
        let cluster = Cluster::start();
        let data = cluster.create_database().query("SHOW data_directory");
        let port = cluster.port();

        drop(cluster);

        assert!(!std::path::Path::new(&data).exists());
        assert!(std::net::TcpStream::connect((Cluster::HOST, port)).is_err());
    }
}
