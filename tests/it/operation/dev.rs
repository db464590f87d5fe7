//! `aponta dev`: one process, no server to install.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::client::Api;
use e2e::server::{Directory, Program};
use serde_json::{Value, json};

fn dev(data: &Path) -> Program {
    Program::new(&["dev", "--port", "0", "--data", data.to_str().unwrap()])
}

async fn total(api: &Api) -> u64 {
    api.get("/api/v1/atividades?limit=1").await.expect(200)["total"].as_u64().unwrap()
}

/// The one line that says why it did not start.
#[track_caller]
fn refusal(program: Program) -> String {
    let finished = program.run();
    assert_eq!(finished.code(), 1, "{}", finished.stderr());
    let said = finished.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[tokio::test]
async fn first_run_has_samples_and_prints_its_addresses() {
    let program = Program::new(&["dev", "--port", "0"]);
    let home = program.directory().to_owned();

    let server = program.start();
    let address = server.wait_for_address();
    server.wait_for_log("PostgreSQL");

    let said = server.log();
    for line in ["/api/v1", "/docs"] {
        assert!(said.contains(&format!("{address}{line}")), "{said}");
    }
    for word in ["Ctrl+C", "aponta serve", "DATABASE_URL", &home.join(".local/share/aponta").display().to_string()] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(total(&server.api()).await > 3);
    assert!(server.api().get("/api/v1/projetos").await.expect(200).as_array().unwrap().len() > 1);
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    let port = address.rsplit_once(':').unwrap().1;
    let elsewhere = format!("http://127.0.0.2:{port}");
    assert!(reqwest::get(format!("{elsewhere}/health")).await.is_err(), "it listens on more than one address");
}

#[tokio::test]
async fn first_run_shows_a_week_with_a_sprint() {
    let server = Program::new(&["dev", "--port", "0"]).start();
    let _ = server.wait_for_address();
    let api = server.api();
    // The newest entry of the samples is of today, at the latest.
    let newest = api.get("/api/v1/apontamentos?usuario=eu&limit=1").await.expect(200)["items"][0].clone();
    let day = newest["data_apontamento"].as_str().unwrap();

    let week = api.get(&format!("/api/v1/timesheet?{PORTAL}&week_start={day}")).await.expect(200);
    assert_eq!(week["avisos"], json!([]));
    assert_ne!(week["total_geral_formatado"], "00:00");
    let epic = &week["work_items"][0];
    assert_eq!((&epic["type"], &epic["children"][0]["children"][0]["type"]), (&json!("Epic"), &json!("User Story")));
    let tasks = epic["children"][0]["children"][0]["children"].as_array().unwrap();
    let closed: Vec<_> = tasks.iter().filter(|task| task["pode_editar"] == false).map(|task| &task["id"]).collect();
    assert_eq!((tasks.len(), closed), (3, vec![&json!(106)]));

    let iterations = api.get(&format!("/api/v1/iterations?{PORTAL}")).await.expect(200);
    let sprint = iterations["current_iteration_id"].as_str().unwrap();
    let items = api.get(&format!("/api/v1/iterations/{sprint}/work-items?{PORTAL}")).await.expect(200);
    assert_eq!(items["work_item_ids"], json!([103, 104, 105]));
    let teams = api.get(&format!("/api/v1/teams?{PORTAL}")).await.expect(200);
    assert_eq!(teams["default_team_id"], teams["teams"][0]["id"]);
    let of_sprint = format!("/api/v1/timesheet?{PORTAL}&week_start={day}&flat_view=true&iteration_id={sprint}");
    let flat = api.get(&of_sprint).await.expect(200);
    let ids: Vec<_> = flat["work_items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert!([104, 105].iter().all(|id| ids.contains(&json!(id))) && !ids.contains(&json!(106)), "{ids:?}");
}

const PORTAL: &str = "organization_name=exemplo&project_id=Portal%20do%20Cliente";

/// Waits until the hours of an entry's work item are written, and returns the entry.
async fn written(api: &Api, id: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let entry = api.get(&format!("/api/v1/apontamentos/{id}")).await.expect(200);
        if entry["sincronizacao"] == "ok" {
            return entry;
        }
        assert!(entry["sincronizacao"] == "pendente" && Instant::now() < deadline, "{entry}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The hours of a task in the timesheet of the week of `day`: done and left.
async fn hours(api: &Api, day: &str, work_item: i64) -> (f64, f64) {
    let flat = format!("/api/v1/timesheet?{PORTAL}&week_start={day}&flat_view=true");
    let week = api.get(&flat).await.expect(200);
    let items = week["work_items"].as_array().unwrap();
    let item = items.iter().find(|item| item["id"] == work_item).unwrap();
    (item["completed_work"].as_f64().unwrap(), item["remaining_work"].as_f64().unwrap())
}

#[tokio::test]
async fn hours_are_written_to_the_sample_work_items_and_survive_a_restart() {
    let data = Directory::new();
    let mut server = dev(data.path()).start();
    let api = server.api();
    let sample = api.get("/api/v1/apontamentos?work_item_id=104&limit=1").await.expect(200)["items"][0].clone();
    let _ = written(&api, sample["id"].as_str().unwrap()).await;
    // 2:00 by hand, and 8:30 of the sample entries.
    assert_eq!(hours(&api, "2026-01-12", 104).await, (10.5, 5.5));
    let entry = |organisation: &str, duracao: &str| {
        json!({
            "work_item_id": 104, "duracao": duracao, "data_apontamento": "2026-01-12",
            "id_atividade": sample["id_atividade"], "organization_name": organisation, "project_id": "Portal do Cliente",
        })
    };

    let created = api.post("/api/v1/apontamentos", &entry("exemplo", "1:30")).await.expect(201);
    assert_eq!(created["sincronizacao"], "pendente");
    let id = created["id"].as_str().unwrap();
    let _ = written(&api, id).await;
    assert_eq!(hours(&api, "2026-01-12", 104).await, (12.0, 4.0));
    // Without a configured organisation any name is taken.
    let other = api.post("/api/v1/apontamentos", &entry("outra", "0:15")).await.expect(201);
    let _ = written(&api, other["id"].as_str().unwrap()).await;
    assert_eq!(hours(&api, "2026-01-12", 104).await, (12.25, 3.75));

    server.kill();
    let server = dev(data.path()).start();
    let api = server.api();
    assert_eq!(hours(&api, "2026-01-12", 104).await, (12.25, 3.75));
    let path = format!("/api/v1/apontamentos/{id}");
    assert_eq!(api.put(&path, &json!({"duracao": "8:00"})).await.expect(200)["sincronizacao"], "pendente");
    let _ = written(&api, id).await;
    assert_eq!(hours(&api, "2026-01-12", 104).await, (18.75, 0.0));
    assert_eq!(api.delete(&path).await.status, 204);
    let _ = written(&api, sample["id"].as_str().unwrap()).await;
    assert_eq!(hours(&api, "2026-01-12", 104).await, (10.75, 5.25));
    assert_eq!(api.post("/api/v1/integracao/reenviar", &json!({})).await.expect(200), json!({"work_items": 0}));
}

#[tokio::test]
async fn data_survives_stop_and_kill() {
    let data = Directory::new();
    let mut server = dev(data.path()).start();
    let api = server.api();
    let entries = api.get("/api/v1/apontamentos?usuario=eu").await.expect(200);
    assert!(entries["items"].as_array().is_some_and(|entries| 3 < entries.len()), "{entries}");
    for entry in entries["items"].as_array().unwrap() {
        let path = format!("/api/v1/apontamentos/{}", entry["id"].as_str().unwrap());
        assert_eq!(api.delete(&path).await.status, 204);
    }
    let listed = api.get("/api/v1/atividades").await.expect(200);
    for atividade in listed["items"].as_array().unwrap() {
        let path = format!("/api/v1/atividades/{}", atividade["id"].as_str().unwrap());
        assert_eq!(api.delete(&path).await.status, 204);
    }
    let projeto = api.projeto("Meu").await;
    let first = api.atividade("Antes de parar", &projeto).await;
    server.terminate();
    assert!(server.wait().success());

    let mut server = dev(data.path()).start();
    let second = server.api().atividade("Antes de cair", &projeto).await;
    server.kill();

    let server = dev(data.path()).start();
    assert_eq!(total(&server.api()).await, 2);
    for id in [first, second] {
        assert_eq!(server.api().get(&format!("/api/v1/atividades/{id}")).await.expect(200)["nome_projeto"], "Meu");
    }
}

#[tokio::test]
async fn two_processes_share_the_same_data() {
    let data = Directory::new();
    let (first, second) = (dev(data.path()).start(), dev(data.path()).start());

    let projeto = first.api().projeto("Meu").await;
    let created = second.api().post("/api/v1/atividades", &json!({"nome": "A", "id_projeto": projeto})).await;

    let id = created.expect(201)["id"].as_str().unwrap().to_owned();
    let _ = first.api().get(&format!("/api/v1/atividades/{id}")).await.expect(200);
}

#[test]
fn start_failure_is_reported_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = Directory::new();
    let file = data.path().join("arquivo");
    std::fs::write(&file, "texto").unwrap();
    let garbage = data.path().join("lixo");
    std::fs::create_dir(&garbage).unwrap();
    std::fs::write(garbage.join("aponta.sqlite3"), "isto não é um banco de dados ".repeat(100)).unwrap();

    let said = refusal(Program::new(&["dev", "--port", &port, "--data", data.path().to_str().unwrap()]));
    assert!(said.contains(&format!("port {port} of 127.0.0.1 is taken")), "{said}");
    for path in [file.clone(), file.join("dentro")] {
        let said = refusal(dev(&path));
        assert!(said.contains("cannot create the data directory") && said.contains("--data DIR"), "{said}");
    }
    let said = refusal(dev(&garbage));
    assert!(said.contains("cannot use the database"), "{said}");
}
