//! Synchronised projects and their atividades.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::azure::{Endpoint, Organisation};
use e2e::client::{Api, send};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use wiremock::ResponseTemplate;

use super::{ANA, ANAS_EMAIL, get, given_ana, post, send_as, server_with, synchronise};

/// The counts of a synchronisation: synced, created, updated, removed.
async fn counted(api: &Api) -> [u64; 4] {
    counted_by(api, ANA).await
}

async fn counted_by(api: &Api, token: &str) -> [u64; 4] {
    let response = synchronise(api, token).await.expect(200);
    assert_eq!(response["status"], "success");
    for (new, old) in [("synced", "total_azure"), ("synced", "synced"), ("created", "created"), ("updated", "updated")]
    {
        assert_eq!(response[format!("projects_{new}")], response[old]);
    }
    ["synced", "created", "updated", "removed"].map(|count| response[format!("projects_{count}")].as_u64().unwrap())
}

async fn projeto(api: &Api, id: &str) -> Value {
    get(api, ANA, &format!("/api/v1/projetos/{id}")).await.expect(200)
}

#[tokio::test]
async fn user_who_signs_in_synchronises_and_reads_atividades_back() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let ids: Vec<_> = (0..250).map(|n| organisation.add_project(&format!("Projeto {n:03}"))).collect();

    assert_eq!(counted(api).await, [250, 250, 0, 0]);
    assert_eq!(organisation.calls("/_apis/projects?").await, 3);
    let listed = get(api, ANA, "/api/v1/projetos").await.expect(200);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|projeto| projeto["nome"].clone()).collect();
    assert_eq!(names, (0..250).map(|n| json!(format!("Projeto {n:03}"))).collect::<Vec<_>>());

    let appeared = organisation.add_project("Apareceu depois");
    for (id, nome) in [(&ids[7], "Projeto 007"), (&appeared, "Apareceu depois")] {
        let created =
            post(api, ANA, "/api/v1/atividades", json!({"nome": "Revisar", "id_projeto": id})).await.expect(201);
        let read = get(api, ANA, &format!("/api/v1/atividades/{}", created["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(read, created);
        assert_eq!((&read["nome_projeto"], &read["criado_por"]), (&json!(nome), &json!(ANAS_EMAIL)));
        assert_eq!(read["id_projeto"], json!(id));
    }
    let projeto = projeto(api, &appeared).await;
    assert_eq!((&projeto["azure_project_id"], &projeto["external_id"]), (&json!(appeared), &json!(appeared)));
    assert_eq!((&projeto["estado"], &projeto["sincronizado_em"]), (&json!("wellFormed"), &projeto["last_sync_at"]));
}

#[tokio::test]
async fn pat_as_bearer_or_basic_sets_criado_por_to_email_or_id() {
    let (organisation, aponta) = given_ana().await;
    let id = organisation.add_user("token-sem-endereco", None);
    let projeto = organisation.add_project("Portal");

    for (token, autor) in [(ANA, ANAS_EMAIL.to_owned()), ("token-sem-endereco", id.to_string())] {
        let body = json!({"nome": "A", "id_projeto": projeto});
        let request = aponta.api.request(Method::POST, "/api/v1/atividades").json(&body);
        let as_basic = send(request.basic_auth("", Some(token))).await.expect(201);
        let as_bearer = post(&aponta.api, token, "/api/v1/atividades", body).await.expect(201);
        assert_eq!((&as_basic["criado_por"], &as_bearer["criado_por"]), (&json!(autor), &json!(autor)));
    }
}

#[tokio::test]
async fn synchronisation_updates_changed_projects_only() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let [same, renamed, gone] = ["A", "B", "C"].map(|nome| organisation.add_project(nome));
    assert_eq!(counted(api).await, [3, 3, 0, 0]);
    let before = projeto(api, &same).await;
    let atividade = post(api, ANA, "/api/v1/atividades", json!({"nome": "A", "id_projeto": gone})).await.expect(201);

    assert_eq!(counted(api).await, [3, 0, 0, 0]);
    let mut removed = Value::Null;
    organisation.change_projects(|projects| {
        projects[1]["name"] = json!("B, de novo");
        removed = projects.remove(2);
    });
    assert_eq!(counted(api).await, [2, 0, 1, 1]);

    assert_eq!(projeto(api, &same).await, before);
    assert_eq!(projeto(api, &renamed).await["nome"], "B, de novo");
    assert_eq!(projeto(api, &gone).await["estado"], "deleted");
    let path = format!("/api/v1/atividades/{}", atividade["id"].as_str().unwrap());
    assert_eq!(get(api, ANA, &path).await.expect(200), atividade);

    organisation.change_projects(|projects| projects.push(removed));
    assert_eq!(counted(api).await, [3, 0, 1, 0]);
    assert_eq!(projeto(api, &gone).await["estado"], "wellFormed");
}

#[tokio::test]
async fn concurrent_synchronisations_create_once_and_failed_one_changes_nothing() {
    let (organisation, aponta) = given_ana().await;
    for n in 0..150 {
        let _ = organisation.add_project(&format!("Projeto {n}"));
    }

    let calls = (0..8).map(|_| {
        let api = aponta.api.clone();
        tokio::spawn(async move { counted(&api).await })
    });
    let mut created = 0;
    for call in calls.collect::<Vec<_>>() {
        let [synced, new, ..] = call.await.unwrap();
        assert_eq!(synced, 150);
        created += new;
    }
    assert_eq!(created, 150);

    let before = aponta.database.query("SELECT * FROM api_aponta.projetos ORDER BY id");
    organisation.change_projects(|projects| drop(projects.remove(0)));
    organisation.respond_with(Endpoint::SecondPage, ResponseTemplate::new(500));
    let _ = synchronise(&aponta.api, ANA).await.error(502);
    assert_eq!(aponta.database.query("SELECT * FROM api_aponta.projetos ORDER BY id"), before);
}

/// A list with these entries, delayed by 2 s.
fn slow_list(projects: &[(&String, &str)]) -> ResponseTemplate {
    let entry = |(id, nome): &(&String, &str)| json!({"id": id, "name": nome, "state": "wellFormed"});
    let value: Vec<_> = projects.iter().map(entry).collect();
    ResponseTemplate::new(200)
        .set_body_json(json!({"count": value.len(), "value": value}))
        .set_delay(Duration::from_secs(2))
}

/// Starts a synchronisation and returns while its list is in flight.
async fn slow_sync(organisation: &Organisation, api: &Api, list: ResponseTemplate) -> JoinHandle<[u64; 4]> {
    let before = organisation.calls("/_apis/projects?").await;
    organisation.respond_with(Endpoint::Projects, list);
    let api = api.clone();
    let sync = tokio::spawn(async move { counted(&api).await });
    while organisation.calls("/_apis/projects?").await == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    organisation.recover();
    sync
}

#[tokio::test]
async fn slow_list_does_not_overwrite_newer_rows() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let portal = organisation.add_project("Portal");
    // A second user, because synchronisations of one user run one at a time.
    let bia = "token-da-bia";
    organisation.add_user(bia, None);

    let sync = slow_sync(&organisation, api, slow_list(&[(&portal, "Portal")])).await;
    let adopted = organisation.add_project("Adotado");
    let _ = post(api, ANA, "/api/v1/atividades", json!({"nome": "A", "id_projeto": adopted})).await.expect(201);
    assert_eq!(sync.await.unwrap(), [1, 1, 0, 0]);
    assert_eq!(projeto(api, &adopted).await["estado"], "wellFormed");
    assert_eq!(organisation.calls(&format!("/_apis/projects/{adopted}")).await, 1, "a newer row is not looked up");

    let sync = slow_sync(&organisation, api, slow_list(&[(&portal, "Portal antigo")])).await;
    organisation.change_projects(|projects| projects[0]["name"] = json!("Portal novo"));
    assert_eq!(counted_by(api, bia).await, [2, 0, 1, 0]);
    assert_eq!(sync.await.unwrap(), [1, 0, 0, 0]);
    assert_eq!(projeto(api, &portal).await["nome"], "Portal novo");
}

#[tokio::test]
async fn project_lost_between_two_pages_is_kept() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let ids: Vec<_> = (0..150).map(|n| organisation.add_project(&format!("Projeto {n:03}"))).collect();
    assert_eq!(counted(api).await, [150, 150, 0, 0]);

    // The offset of the second page still counts the first project, which is deleted in between.
    organisation.change_projects(|projects| drop(projects.remove(0)));
    let rest: Vec<_> =
        ids[101..].iter().map(|id| json!({"id": id, "name": "Projeto", "state": "wellFormed"})).collect();
    let page = ResponseTemplate::new(200).set_body_json(json!({"count": rest.len(), "value": rest}));
    organisation.respond_with(Endpoint::SecondPage, page);
    let [synced, created, _, removed] = counted(api).await;

    assert_eq!([synced, created, removed], [149, 0, 1]);
    let deleted = "SELECT id FROM api_aponta.projetos WHERE estado = 'deleted'";
    assert_eq!(aponta.database.query(deleted), ids[0]);
}

/// A user with few rights marks no hidden project as deleted.
#[tokio::test]
async fn project_hidden_from_the_caller_is_kept() {
    let service = "token-do-servico-que-ve-todos-os-projetos";
    for pat in [None, Some(service)] {
        let organisation = Organisation::start().await;
        let aponta = server_with(&organisation.url(), pat);
        let api = &aponta.api;
        for token in [ANA, "token-da-bia", service] {
            organisation.add_user(token, None);
        }
        let ids: Vec<_> = (0..30).map(|n| organisation.add_project(&format!("Projeto {n}"))).collect();
        assert_eq!(counted(api).await, [30, 30, 0, 0]);
        ids[1..].iter().for_each(|id| organisation.hide("token-da-bia", id));

        let of_bia = synchronise(api, "token-da-bia").await.expect(200);
        assert_eq!(
            ["synced", "removed", "unconfirmed"].map(|count| &of_bia[format!("projects_{count}")]),
            [&json!(1), &json!(0), &json!(29)],
        );
        organisation.change_projects(|projects| projects.truncate(1));
        let of_bia = synchronise(api, "token-da-bia").await.expect(200);

        let seen = if pat.is_some() { 29 } else { 0 };
        assert_eq!(of_bia["projects_removed"], json!(seen), "the PAT of the service confirms deletions");
        assert_eq!(counted(api).await, [1, 0, 0, 29 - seen]);
    }
}

#[tokio::test]
async fn unreadable_project_fails_alone_and_keeps_its_row() {
    let (organisation, aponta) = given_ana().await;
    let api = &aponta.api;
    let [broken, _] = ["Portal", "Loja"].map(|nome| organisation.add_project(nome));
    assert_eq!(counted(api).await, [2, 2, 0, 0]);
    organisation.change_projects(|projects| {
        projects[0]["name"] = Value::Null;
        projects[1]["name"] = json!("Loja nova");
    });

    let result = synchronise(api, ANA).await.expect(200);

    assert_eq!((&result["projects_failed"], &result["projects_failed_ids"]), (&json!(1), &json!([broken])));
    assert_eq!((&result["projects_synced"], &result["projects_updated"]), (&json!(1), &json!(1)));
    let kept = projeto(api, &broken).await;
    assert_eq!((&kept["nome"], &kept["estado"]), (&json!("Portal"), &json!("wellFormed")));
    aponta.server.wait_for_log("skipping an unreadable project");
}

#[tokio::test]
async fn live_list_returns_azures_objects_for_the_caller() {
    let (organisation, aponta) = given_ana().await;
    let ids: BTreeSet<_> = (0..120).map(|n| organisation.add_project(&format!("Projeto {n}"))).collect();

    let live = get(&aponta.api, ANA, "/api/v1/integracao/projetos").await.expect(200);

    let live = live.as_array().unwrap();
    assert_eq!(live.len(), 120);
    assert_eq!(live.iter().map(|project| project["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), ids);
    assert!(live.iter().all(|project| project["revision"] == 7 && project["visibility"] == "private"));
    assert_eq!(aponta.database.query("SELECT count(*) FROM api_aponta.projetos"), "0");
}

#[tokio::test]
async fn unknown_projeto_in_concurrent_requests_is_looked_up_once() {
    let (organisation, aponta) = given_ana().await;
    let _ = get(&aponta.api, ANA, "/api/v1/projetos").await.expect(200);
    let id = organisation.add_project("Novo");

    let calls = (0..60).map(|_| {
        let (api, body) = (aponta.api.clone(), json!({"nome": "A", "id_projeto": id}));
        tokio::spawn(async move { post(&api, ANA, "/api/v1/atividades", body).await.expect(201) })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap()["nome_projeto"], "Novo");
    }
    assert_eq!(organisation.calls(&format!("/_apis/projects/{id}")).await, 1);

    let id_unknown = uuid::Uuid::now_v7();
    let unknown = json!({"nome": "A", "id_projeto": id_unknown});
    let text = format!("Projeto não encontrado: {id_unknown}");
    let refused = post(&aponta.api, ANA, "/api/v1/atividades", unknown.clone()).await;
    assert_eq!(refused.error(400), text);
    let created =
        post(&aponta.api, ANA, "/api/v1/atividades", json!({"nome": "A", "id_projeto": id})).await.expect(201);
    let path = format!("/api/v1/atividades/{}", created["id"].as_str().unwrap());
    assert_eq!(send_as(&aponta.api, ANA, Method::PUT, &path, Some(unknown)).await.error(400), text);
    let outro = organisation.add_project("Outro");
    let moved = send_as(&aponta.api, ANA, Method::PUT, &path, Some(json!({"id_projeto": outro}))).await.expect(200);
    assert_eq!(moved["nome_projeto"], "Outro");
}
