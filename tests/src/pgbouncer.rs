//! A `PgBouncer` in transaction mode in front of a [`Cluster`], for tests.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::postgres::{Cluster, Database};

/// A running `PgBouncer`, stopped on drop.
pub struct PgBouncer {
    process: Child,
    directory: PathBuf,
    port: u16,
}

impl PgBouncer {
    /// Starts a process that shares `pool_size` server connections among all clients.
    ///
    /// # Panics
    /// If it does not start, for example because `PgBouncer` is not installed; `./tests/run.sh` installs it.
    #[must_use]
    pub fn start(cluster: &Cluster, pool_size: u32) -> Self {
        let port = TcpListener::bind((Cluster::HOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
        let directory = std::env::temp_dir().join(format!("aponta-pgbouncer-{port}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for PgBouncer");
        let users = directory.join("users.txt");
        let settings = directory.join("pgbouncer.ini");
        fs::write(&users, format!("\"{}\" \"{}\"\n", Cluster::SUPERUSER, cluster.password())).expect("users.txt");
        let text = format!(
            "[databases]\n* = host={host} port={server}\n[pgbouncer]\nlisten_addr = {host}\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {users}\npool_mode = transaction\n\
             default_pool_size = {pool_size}\nmax_client_conn = 500\n",
            host = Cluster::HOST,
            server = cluster.port(),
            users = users.display(),
        );
        fs::write(&settings, text).expect("pgbouncer.ini");
        // Debian installs it outside of the PATH of a user. It refuses to run as root.
        let installed = "/usr/sbin/pgbouncer";
        let program = if Path::new(installed).exists() { installed } else { "pgbouncer" };
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
            command
        } else {
            Command::new(program)
        };
        let process = command.arg("--quiet").arg(&settings).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("PgBouncer starts; ./tests/run.sh installs it");
        let started = Instant::now();
        while TcpStream::connect((Cluster::HOST, port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "PgBouncer does not listen");
            sleep(Duration::from_millis(20));
        }
        Self { process, directory, port }
    }

    /// Returns the URL of `database` through this `PgBouncer`.
    #[must_use]
    pub fn url(&self, cluster: &Cluster, database: &Database<'_>) -> String {
        database.url().replace(&format!(":{}/", cluster.port()), &format!(":{}/", self.port))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
