//! A server of its own for each test, and replicas that use it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use adapters_redis::{Config, SharedMemory};
use domain::{Clock, MockClock, SharedIdentity};
use redis::aio::MultiplexedConnection;
use time::OffsetDateTime;

pub const PASSWORD: &str = "senha";
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const TENANT: &str = "api@https://dev.azure.com/contoso";

/// A server without persistence, ended on drop.
pub struct Server {
    process: Child,
    pub port: u16,
}

impl Server {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { process: spawn(port), port };
        server.client().await;
        server
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.port);
        self.client().await;
    }

    /// Sends `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    pub fn config(&self, tenant: &str) -> Config {
        Config::new(&self.url().into(), &SECRET.into(), tenant).unwrap()
    }

    pub async fn replica(&self) -> SharedMemory {
        SharedMemory::start(&self.config(TENANT), clock(0)).await
    }

    /// A connection that is no replica's, once the server accepts it.
    pub async fn client(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        for _ in 0..500 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server does not start; ./tests/run.sh installs it")
    }

    /// Runs a command of an operator, or of an attacker.
    pub async fn command<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query_async(&mut self.client().await).await.unwrap()
    }

    pub async fn names(&self) -> Vec<String> {
        self.command(&[b"KEYS", b"*"]).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16) -> Child {
    let words = format!("--port {port} --bind 127.0.0.1 --requirepass {PASSWORD} --save  --appendonly no");
    let start =
        |program| Command::new(program).args(words.split(' ')).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    start("valkey-server").or_else(|_| start("redis-server")).expect("Valkey or Redis; ./tests/run.sh installs it")
}

/// A clock that stands `seconds` after the tests' time.
pub fn clock(seconds: i64) -> Arc<dyn Clock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(move || OffsetDateTime::from_unix_timestamp(1_795_501_000 + seconds).unwrap());
    Arc::new(clock)
}

pub fn ana() -> SharedIdentity {
    SharedIdentity { identity: b"ana".to_vec(), lifetime: Duration::from_mins(1) }
}

/// Waits until `condition` holds, and fails after some seconds.
pub async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < end, "it never came true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
