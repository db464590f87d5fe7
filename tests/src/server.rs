//! The real binary `aponta`, run to its end or started as a server.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Api;
use crate::postgres::{Cluster, Database};

/// How long a server may take to say where it listens, on a busy machine.
const START: Duration = Duration::from_mins(1);

/// How long a server may take to end: the 25 s that it gives to requests in flight, on a busy machine.
const STOP: Duration = Duration::from_mins(1);

/// How many lines of a server's log a failed test shows.
const END: usize = 100;

/// An empty directory that is removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("aponta-e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Whatever is left of it is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A call of the binary: its arguments and an environment that has nothing but what a test puts there. It runs in an
/// empty directory, which is also its home.
pub struct Program {
    command: Command,
    directory: Arc<Directory>,
    /// Whether `unshare` starts it.
    is_wrapped: bool,
}

impl Program {
    /// `aponta` with `arguments`.
    #[must_use]
    pub fn new(arguments: &[&str]) -> Self {
        let directory = Arc::new(Directory::new());
        let mut command = Command::new(binary());
        command.args(arguments).env_clear().env("HOME", directory.path()).current_dir(directory.path());
        // Where `cargo llvm-cov` writes its profiles.
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, directory, is_wrapped: false }
    }

    /// `aponta serve` on `database`, on a free port of loopback, without authentication.
    #[must_use]
    pub fn serve(database: &Database<'_>) -> Self {
        Self::new(&["serve"]).development().env("DATABASE_URL", database.url())
    }

    /// Settings that let a server run in a test.
    #[must_use]
    pub fn development(self) -> Self {
        let settings = [
            ("ENVIRONMENT", "development"),
            ("AUTH_ENABLED", "false"),
            // One person sends all requests of a test.
            ("RATE_PER_PERSON", "off"),
            ("API_HOST", "127.0.0.1"),
            ("API_PORT", "0"),
        ];
        settings.into_iter().fold(self, |program, (name, value)| program.env(name, value))
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As the first process of its namespace, as in a container, where the system lets a test do so.
    #[must_use]
    pub fn as_first_process(self) -> Self {
        let unshare = || {
            let mut command = Command::new("/usr/bin/unshare");
            command.args(["--pid", "--fork", "--kill-child"]);
            command
        };
        if !unshare().arg("/bin/true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return self;
        }
        let mut command = unshare();
        command.arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, is_wrapped: true, ..self }
    }

    /// Where it runs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(mut self) -> Finished {
        Finished(self.command.output().expect("the binary can be started"))
    }

    /// Starts it as a server and waits until it says where it listens.
    #[must_use]
    pub fn start(self) -> Server {
        let server = self.spawn();
        let _ = server.wait_for_address();
        server
    }

    /// Starts it as a server and does not wait.
    #[must_use]
    pub fn spawn(mut self) -> Server {
        let mut child = self.command.spawn().expect("the binary can be started");
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());
        Server { child, log, is_wrapped: self.is_wrapped, _directory: self.directory }
    }
}

/// What a call of the binary printed, and how it ended.
pub struct Finished(Output);

impl Finished {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.0.status.code().expect("it ended by itself")
    }

    /// What it printed.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// What it complained about.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

/// A running server. It is killed when it is dropped.
pub struct Server {
    child: Child,
    log: Arc<Log>,
    is_wrapped: bool,
    _directory: Arc<Directory>,
}

impl Server {
    /// A client of it.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(&self.wait_for_address())
    }

    /// `http://` and where it listens.
    #[must_use]
    pub fn wait_for_address(&self) -> String {
        self.log.wait_for(START, |log| {
            let after = log.split("listening on ").nth(1)?;
            // Whole lines only: the rest of this one may still be on its way.
            let line = after.split_once('\n')?.0;
            Some(line.split([' ', '"']).next()?.to_owned())
        })
    }

    /// `http://` and where its metrics are.
    #[must_use]
    pub fn wait_for_metrics(&self) -> Api {
        Api::new(&self.log.wait_for(START, |log| {
            let after = log.split("metrics at ").nth(1)?;
            Some(after.split_once("/metrics")?.0.to_owned())
        }))
    }

    /// Waits until it has logged `text`.
    pub fn wait_for_log(&self, text: &str) {
        self.log.wait_for(START, |log| log.contains(text).then_some(()));
    }

    /// All that it has printed so far, on both streams.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text().clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let id = self.child.id();
        if !self.is_wrapped {
            return id;
        }
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.split_whitespace().next().expect("it runs").parse().unwrap()
    }

    /// Asks it to stop, as an orchestrator does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it the signal with that name.
    pub fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        let status = self.wait();
        assert_eq!(status.signal(), Some(9));
    }

    /// How it ended, once it has.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_for(STOP)
    }

    /// The same, which may take so long.
    pub fn wait_for(&mut self, patience: Duration) -> ExitStatus {
        let give_up = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < give_up, "the server did not end within {patience:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let end = lines.split_at(lines.len().saturating_sub(END)).1;
            eprintln!("--- end of the log of the server\n{}\n---", end.join("\n"));
        }
    }
}

/// A server on a database of its own.
pub struct Aponta {
    /// A client of the server.
    pub api: Api,
    /// The server.
    pub server: Server,
    /// Its database.
    pub database: Database<'static>,
}

impl Aponta {
    /// `aponta serve` on an empty database of the shared cluster, without authentication.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(|program| program)
    }

    /// The same, with other settings.
    #[must_use]
    pub fn start_with(settings: impl FnOnce(Program) -> Program) -> Self {
        let database = Cluster::shared().create_database();
        let server = settings(Program::serve(&database)).start();
        Self { api: server.api(), server, database }
    }
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

impl Log {
    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                log.text().push_str(&(line + "\n"));
                log.grown.notify_all();
            }
        });
    }

    fn wait_for<T>(&self, patience: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let give_up = Instant::now() + patience;
        let mut text = self.text();
        loop {
            if let Some(found) = find(&text) {
                return found;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the server did not log what was waited for:\n{text}");
            text = self.grown.wait_timeout(text, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The binary of this build: beside the test programs' directory, or where `APONTA_BIN` says.
fn binary() -> PathBuf {
    let path = std::env::var_os("APONTA_BIN")
        .map_or_else(|| std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("aponta"), PathBuf::from);
    assert!(path.exists(), "{} is missing: `cargo build -p http-actix` makes it", path.display());
    path
}
