//! Hours of time entries in the work items of Azure DevOps.

use std::time::{Duration, Instant};

use e2e::azure::{COMPLETED_WORK, ORIGINAL_ESTIMATE, Organisation, PatchFault, REMAINING_WORK, rule_error, throttled};
use e2e::client::Api;
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::ResponseTemplate;

use super::{ANA, ANAS_EMAIL, get, post, send_as, server_with};

const PAT: &str = "pat-do-servico";
const PATH: &str = "/api/v1/apontamentos";

/// An organisation in which Ana and the service see the project «Portal», and a task with 2 of 8 hours done by hand.
struct Given {
    organisation: Organisation,
    aponta: Aponta,
    ana: Uuid,
    atividade: String,
}

async fn given() -> Given {
    let organisation = Organisation::start().await;
    let ana = organisation.add_user(ANA, Some(ANAS_EMAIL));
    organisation.add_user(PAT, Some("servico@exemplo.br"));
    let projeto = organisation.add_project("Portal");
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela de pedidos");
    let hours = [(ORIGINAL_ESTIMATE, json!(8.0)), (COMPLETED_WORK, json!(2.0)), (REMAINING_WORK, json!(6.0))];
    organisation.edit_work_item(41, Uuid::now_v7(), &hours);
    let aponta = server_with(&organisation.url(), Some(PAT));
    let nova = json!({"nome": "Desenvolver", "id_projeto": projeto});
    let atividade = post(&aponta.api, ANA, "/api/v1/atividades", nova).await.expect(201)["id"].clone();
    Given { organisation, aponta, ana, atividade: atividade.as_str().unwrap().to_owned() }
}

impl Given {
    fn api(&self) -> &Api {
        &self.aponta.api
    }

    fn entry(&self, work_item: i64, duracao: &str) -> Value {
        json!({
            "work_item_id": work_item, "duracao": duracao, "data_apontamento": "2026-01-12",
            "id_atividade": self.atividade, "organization_name": "exemplo", "project_id": "Portal",
        })
    }

    /// Books hours as Ana and returns the entry.
    async fn book(&self, work_item: i64, duracao: &str) -> Value {
        post(self.api(), ANA, PATH, self.entry(work_item, duracao)).await.expect(201)
    }

    async fn state(&self, entry: &Value) -> Value {
        get(self.api(), ANA, &path(entry)).await.expect(200)["sincronizacao"].clone()
    }

    /// Waits until the entry is in that state.
    async fn until(&self, entry: &Value, state: &str) {
        let started = Instant::now();
        while self.state(entry).await != state {
            assert!(started.elapsed() < Duration::from_mins(1), "{entry} is not {state}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The hours done and left.
    fn hours(&self) -> [Value; 2] {
        [COMPLETED_WORK, REMAINING_WORK].map(|field| self.organisation.hours(41, field))
    }
}

fn path(entry: &Value) -> String {
    format!("{PATH}/{}", entry["id"].as_str().unwrap())
}

#[tokio::test]
async fn hours_of_entries_are_added_to_those_by_hand() {
    let given = given().await;

    let first = given.book(41, "01:30").await;
    assert_eq!(first["sincronizacao"], "pendente");
    let batch = json!({"items": [given.entry(41, "00:30"), given.entry(41, "00:20")]});
    assert_eq!(post(given.api(), ANA, &format!("{PATH}/lote"), batch).await.status, 201);
    given.until(&first, "ok").await;
    assert_eq!(given.hours(), [json!(4.33), json!(3.67)]);
    assert_eq!(given.organisation.patches().len(), 1, "entries within seconds make one write");

    let hours = [(COMPLETED_WORK, json!(5.33))];
    given.organisation.edit_work_item(41, given.ana, &hours);
    let longer = json!({"duracao": "02:00"});
    assert_eq!(send_as(given.api(), ANA, Method::PUT, &path(&first), Some(longer)).await.status, 200);
    given.until(&first, "ok").await;
    assert_eq!(given.hours(), [json!(5.83), json!(2.17)], "the hour typed meanwhile survives");

    let comentario = json!({"comentario": "Com o cliente"});
    let changed = send_as(given.api(), ANA, Method::PUT, &path(&first), Some(comentario)).await.expect(200);
    assert_eq!(changed["sincronizacao"], "ok", "a comment changes no hours");

    let last = given.book(41, "00:10").await;
    assert_eq!(send_as(given.api(), ANA, Method::DELETE, &path(&first), None).await.status, 204);
    given.until(&last, "ok").await;
    assert_eq!(given.hours(), [json!(4.0), json!(4.0)]);
    assert_eq!(given.organisation.patches().len(), 3);
}

#[tokio::test]
async fn hours_that_the_form_of_the_client_adds_count_once() {
    let given = given().await;

    let entry = given.book(41, "01:30").await;
    // The form that is open in the browser adds the same hours and saves them.
    given.organisation.edit_work_item(41, given.ana, &[(COMPLETED_WORK, json!(3.5)), (REMAINING_WORK, json!(4.5))]);
    given.until(&entry, "ok").await;

    assert_eq!(given.hours(), [json!(3.5), json!(4.5)]);
    assert_eq!(given.organisation.patches(), []);
}

#[tokio::test]
async fn lost_responses_conflicts_and_throttling_end_in_the_right_hours() {
    let given = given().await;
    let lost = || PatchFault::LoseResponse(ResponseTemplate::new(503).insert_header("retry-after", "1"));
    let conflict = PatchFault::Refuse(ResponseTemplate::new(409));
    let throttled = PatchFault::Refuse(throttled(Duration::from_secs(1)));
    given.organisation.fail_patches([lost(), conflict, throttled]);

    let first = given.book(41, "01:30").await;
    given.until(&first, "ok").await;
    assert_eq!(given.hours(), [json!(3.5), json!(4.5)]);

    let second = given.book(41, "00:30").await;
    given.until(&second, "ok").await;
    assert_eq!(given.hours(), [json!(4.0), json!(4.0)]);
    assert_eq!(given.organisation.patches().len(), 2);
}

#[tokio::test]
async fn failed_work_items_are_listed_and_written_after_a_request() {
    let given = given().await;
    let api = given.api();
    for id in [42, 43, 44] {
        given.organisation.add_work_item(id, "Portal", "Task", "Active", "Outra tarefa");
    }
    given.organisation.set_states("Bug", &[("Active", "InProgress")]);
    given.organisation.add_work_item(45, "Portal", "Bug", "Active", "Defeito");
    given.organisation.set_hour_fields("Bug", &[REMAINING_WORK]);
    given.organisation.fail_patches([PatchFault::Refuse(rule_error())]);
    let refused = given.book(44, "00:10").await;
    given.until(&refused, "erro").await;
    let entries = [given.book(42, "01:00").await, given.book(43, "01:00").await, given.book(45, "01:00").await];
    given.organisation.delete_work_item(42);
    given.organisation.change_work_item(43, |fields| drop(fields.insert("System.State".to_owned(), json!("Closed"))));
    for (entry, state) in entries.iter().zip(["erro", "erro", "ok"]) {
        given.until(entry, state).await;
    }

    let failed = get(api, ANA, &format!("{PATH}?sincronizacao=erro")).await.expect(200);
    let failed: Vec<_> = failed["items"].as_array().unwrap().iter().collect();
    let mut reasons: Vec<_> = failed
        .iter()
        .map(|entry| (entry["work_item_id"].as_i64().unwrap(), entry["sincronizacao_motivo"].as_str().unwrap()))
        .collect();
    reasons.sort_unstable();
    let expected = [
        (42, "O work item não existe, ou a conta do serviço não o vê"),
        (43, "O work item está encerrado"),
        (44, "Uma regra do Azure DevOps recusou as horas"),
    ];
    assert_eq!(reasons, expected);

    given.organisation.change_work_item(43, |fields| drop(fields.insert("System.State".to_owned(), json!("Active"))));
    let again = async || post(api, ANA, "/api/v1/integracao/reenviar", json!({})).await.expect(200);
    assert_eq!(again().await, json!({"work_items": 0}));
    // A minute later.
    given.aponta.database.execute("UPDATE api_aponta.escritas SET falhou_em = falhou_em - interval '1 minute'");
    assert_eq!(again().await, json!({"work_items": 3}));
    given.until(&refused, "ok").await;
    given.until(&entries[1], "ok").await;
    given.until(&entries[0], "erro").await;
    assert_eq!(given.organisation.hours(43, COMPLETED_WORK), 1.0);
    assert_eq!(given.organisation.hours(44, COMPLETED_WORK), 0.17);
    assert_eq!(given.organisation.hours(45, COMPLETED_WORK), Value::Null);
}

#[tokio::test]
async fn service_writes_with_its_own_token_and_only_what_it_sees() {
    let given = given().await;
    let secret = given.organisation.add_project("Secreto");
    given.organisation.add_work_item(99, "Secreto", "Task", "Active", "Tarefa secreta");
    given.organisation.hide(PAT, &secret);

    let seen = given.book(41, "00:10").await;
    let hidden = given.book(99, "00:10").await;
    given.until(&seen, "ok").await;
    given.until(&hidden, "erro").await;

    let writers = given.organisation.writers().await;
    assert_eq!(writers, [PAT]);
    assert_eq!(given.organisation.hours(99, COMPLETED_WORK), Value::Null);
}

#[tokio::test]
async fn write_back_that_is_off_writes_nothing() {
    let organisation = Organisation::start().await;
    organisation.add_user(ANA, Some(ANAS_EMAIL));
    organisation.add_user(PAT, Some("servico@exemplo.br"));
    let projeto = organisation.add_project("Portal");
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela de pedidos");
    for settings in [&[("WRITE_BACK", "off"), ("AZURE_DEVOPS_PAT", PAT)][..], &[]] {
        let aponta = Aponta::start_with(|program| {
            let program = program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", organisation.url());
            settings.iter().fold(program, |program, (name, value)| program.env(name, value))
        });
        let nova = json!({"nome": "Desenvolver", "id_projeto": projeto});
        let atividade = post(&aponta.api, ANA, "/api/v1/atividades", nova).await.expect(201)["id"].clone();
        let entry = json!({
            "work_item_id": 41, "duracao": "01:00", "data_apontamento": "2026-01-12", "id_atividade": atividade,
            "organization_name": "exemplo", "project_id": "Portal",
        });

        let entry = post(&aponta.api, ANA, PATH, entry).await.expect(201);

        assert_eq!(entry["sincronizacao"], "desligada");
        let refused = post(&aponta.api, ANA, "/api/v1/integracao/reenviar", json!({})).await;
        assert_eq!(refused.error(409), "Este servidor não escreve horas no Azure DevOps");
        let listed = get(&aponta.api, ANA, &format!("{PATH}?sincronizacao=desligada")).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        let jobs = "SELECT count(*) FROM api_aponta.rotinas WHERE nome = 'write_back'";
        let rows = "SELECT count(*) FROM api_aponta.escritas";
        assert_eq!([jobs, rows].map(|sql| aponta.database.query(sql)), ["0", "0"]);
    }
    assert_eq!(organisation.patches(), []);
}
