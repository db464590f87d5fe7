//! A private PostgreSQL cluster for tests, run by `tests/postgres.sh`.
//!
//! The script lives as long as a pipe that this process holds, so the cluster ends with the test, however that ends.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A PostgreSQL server with nothing in it, on a free port of the loopback interface.
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
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// The name of the superuser.
    pub const SUPERUSER: &str = "postgres";
    /// Where the server listens.
    pub const HOST: &str = "127.0.0.1";

    /// The cluster that all tests of one binary share. It stops when the process ends.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A cluster of one's own, for tests that stop it or change its settings. It stops when it is dropped.
    ///
    /// # Panics
    /// When it does not start, for example because PostgreSQL is not installed; the script then says why.
    #[must_use]
    pub fn start() -> Self {
        let mut process = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/postgres.sh"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres.sh can be started");
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let mut script = Script { process, commands, answers };
        let ready = script.answer();
        let (port, password, programs) = parse(&ready).unwrap_or_else(|| {
            panic!(
                "tests/postgres.sh gave no PostgreSQL and says why on stderr; ./tests/run.sh installs what is missing"
            )
        });
        let databases = AtomicU32::new(0);
        Self { script: Mutex::new(script), programs, port, password, databases }
    }

    /// The port of the server.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The password of [`Self::SUPERUSER`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The directory of PostgreSQL's programs.
    #[must_use]
    pub const fn programs(&self) -> &PathBuf {
        &self.programs
    }

    /// An empty database of its own.
    pub fn create_database(&self) -> Database<'_> {
        self.create("template1")
    }

    /// A copy of `template`, to which nobody may be connected.
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
    /// When one of them fails.
    pub fn execute(&self, sql: &str) {
        self.psql("postgres", sql).expect("psql succeeds");
    }

    /// Stops the server in an orderly way: connections are told and closed.
    pub fn stop(&self) {
        self.command("stop");
    }

    /// Ends the server as a crash would.
    pub fn kill(&self) {
        self.command("kill");
    }

    /// Starts the server again, with its data and on its port.
    pub fn start_again(&self) {
        self.command("start");
    }

    fn command(&self, command: &str) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let commands = script.commands.as_mut().expect("it is closed on drop only");
        writeln!(commands, "{command}").expect("tests/postgres.sh takes commands");
        assert_eq!(script.answer(), format!("{command}: done"));
    }

    /// What the statements answer, or what psql says of the first that fails.
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
        // Dropped at once: the end of its input is where psql ends.
        psql.stdin.take().expect("its input is a pipe").write_all(sql.as_bytes()).expect("psql reads");
        let output = psql.wait_with_output().expect("psql ends");
        if !output.status.success() {
            return Err(format!("{sql}\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }
}

impl Script {
    /// The next line it prints, empty when it has ended.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the output of tests/postgres.sh is text");
        line.trim_end().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.commands.take());
        // It is gone in any case; there is nobody to tell.
        let _ = self.process.wait();
    }
}

/// Port, password and programs out of `postgres://user:password@host:port/database programs`.
fn parse(ready: &str) -> Option<(u16, String, PathBuf)> {
    let (url, programs) = ready.split_once(' ')?;
    let (user, address) = url.split_once('@')?;
    let password = user.rsplit_once(':')?.1;
    let port = address.split_once(':')?.1.split_once('/')?.0;
    Some((port.parse().ok()?, password.to_owned(), programs.into()))
}

/// A database of a [`Cluster`]. It is removed when it is dropped, also if somebody is still connected.
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Database<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, with the superuser and the password.
    #[must_use]
    pub fn url(&self) -> String {
        let Cluster { password, port, .. } = self.cluster;
        format!("postgres://{}:{password}@{}:{port}/{}", Cluster::SUPERUSER, Cluster::HOST, self.name)
    }

    /// Runs statements as the superuser.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn execute(&self, sql: &str) {
        let _ = self.query(sql);
    }

    /// What a statement answers: a line for each row, `|` between columns, nothing for NULL, times in UTC.
    ///
    /// # Panics
    /// When the statement fails.
    #[must_use]
    pub fn query(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql).expect("psql succeeds")
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A test may have stopped the server for good: then the database goes with the cluster.
        let _ = self.cluster.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_apart_and_copies_have_what_the_template_had() {
        let (first, second) = (Cluster::shared().create_database(), Cluster::shared().create_database());

        first.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'ação'), (2, NULL);");
        let copy = Cluster::shared().create_database_from(&first);

        assert_eq!(copy.query("SELECT * FROM t ORDER BY a"), "1|ação\n2|");
        assert_eq!(second.query("SELECT to_regclass('t') IS NULL"), "t");
    }

    #[test]
    fn a_private_cluster_stops_crashes_and_comes_back_with_its_data() {
        let cluster = Cluster::start();
        let database = cluster.create_database();
        database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1);");

        for end in [Cluster::stop, Cluster::kill] {
            end(&cluster);
            assert!(std::net::TcpStream::connect((Cluster::HOST, cluster.port())).is_err());
            cluster.start_again();
            assert_eq!(database.query("SELECT a FROM t"), "1");
        }
    }

    #[test]
    fn a_cluster_leaves_nothing_behind() {
        let cluster = Cluster::start();
        let data = cluster.create_database().query("SHOW data_directory");
        let port = cluster.port();

        drop(cluster);

        assert!(!std::path::Path::new(&data).exists());
        assert!(std::net::TcpStream::connect((Cluster::HOST, port)).is_err());
    }
}
