//! Stopping without losing a request.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use e2e::client::send;
use e2e::server::{Aponta, Program};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_requests_in_flight_and_accepts_no_more() {
    let Aponta { api, mut server, database } = Aponta::start();
    let projeto = api.projeto("Portal").await;
    // The lock on the table keeps the request waiting until the server is stopped.
    let holder = {
        let url = database.url();
        std::process::Command::new("sh")
            .args(["-c", "exec \"$0\" -X -q \"$1\"", &psql(), &url])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut holder = Holder(holder);
    holder.say("BEGIN; LOCK TABLE api_aponta.atividades;");
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'api_aponta.atividades'::regclass AND mode = 'AccessExclusiveLock'";
    until(|| database.query(held) == "1");

    let request = api.request(Method::POST, "/api/v1/atividades").json(&json!({"nome": "A", "id_projeto": projeto}));
    let in_flight = tokio::spawn(send(request));
    until(|| {
        database.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT%'")
            != "0"
    });
    server.terminate();
    let address = api.base().trim_start_matches("http://").to_owned();
    until(|| std::net::TcpStream::connect(&address).is_err());
    holder.say("COMMIT;");

    let _ = in_flight.await.unwrap().expect(201);
    assert!(server.wait().success());
    assert_eq!(database.query("SELECT nome FROM api_aponta.atividades"), "A");
}

/// The first process of a container gets no signal that it has no handler for.
#[test]
fn sigterm_while_waiting_for_the_database_stops() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgresql://ana:segredo@{free}/aponta");
    for signal in ["TERM", "INT"] {
        let program = Program::new(&["serve"]).development().env("DATABASE_URL", &url);
        let mut server = program.as_first_process().spawn();
        server.wait_for_log("retrying");

        server.signal(signal);

        let ended = server.wait();
        assert!(ended.success(), "SIG{signal}: {ended}");
        server.wait_for_log("stopped before listening");
    }
}

/// At every moment of the start: while it connects, migrates, starts its workers and when it has just begun to serve.
#[test]
fn sigterm_while_starting_stops() {
    let database = e2e::postgres::Cluster::shared().create_database();
    Program::serve(&database).start().terminate();
    for moment in (0..60).map(|step| Duration::from_millis(5 * step)) {
        let mut server = Program::serve(&database).spawn();
        std::thread::sleep(moment);

        server.terminate();

        let ended = server.wait_for(Duration::from_secs(20));
        // Before its first instruction the system ends it.
        let is_expected = ended.success() || ended.signal() == Some(15);
        assert!(is_expected, "after {moment:?}: {ended}");
    }
}

fn psql() -> String {
    e2e::postgres::Cluster::shared().programs().join("psql").display().to_string()
}

/// Polls until it is so.
fn until(is_so: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < give_up, "it never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A session of psql, which ends with the test.
struct Holder(std::process::Child);

impl Holder {
    fn say(&mut self, sql: &str) {
        use std::io::Write;
        writeln!(self.0.stdin.as_mut().unwrap(), "{sql}").unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
