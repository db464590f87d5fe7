//! Atividades of several projetos.

use e2e::client::Api;
use e2e::server::Aponta;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/api/v1/atividades";

fn ids(atividade: &Value) -> Vec<&str> {
    atividade["projetos"].as_array().unwrap().iter().map(|projeto| projeto["id"].as_str().unwrap()).collect()
}

async fn projetos<const N: usize>(api: &Api, nomes: [&str; N]) -> [String; N] {
    let mut ids = nomes.map(str::to_owned);
    for id in &mut ids {
        *id = api.projeto(id).await;
    }
    ids
}

async fn found_by(api: &Api, list: &str, projeto: &str) -> Vec<Value> {
    let list = api.get(&format!("{list}?id_projeto={projeto}")).await.expect(200);
    assert_eq!(list["total"], list["items"].as_array().unwrap().len());
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn several_projetos_are_kept_in_order_and_each_finds_the_atividade() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b, c, outro] = projetos(api, ["A", "B", "C", "Outro"]).await;

    let created = api.post(PATH, &json!({"nome": "Comum", "ids_projetos": [c, a, b]})).await.expect(201);
    let single = api.post(PATH, &json!({"nome": "Antiga", "id_projeto": outro})).await.expect(201);

    let projeto = |id: &str, nome: &str| json!({"id": id, "nome": nome});
    assert_eq!(created["projetos"], json!([projeto(&c, "C"), projeto(&a, "A"), projeto(&b, "B")]));
    assert_eq!((&created["id_projeto"], &created["nome_projeto"]), (&json!(c), &json!("C")));
    assert_eq!(single["projetos"], json!([projeto(&outro, "Outro")]));
    for id in [&a, &b, &c] {
        assert_eq!(found_by(api, PATH, id).await, [created.clone()]);
        assert_eq!(found_by(api, "/api/v1/atividades/gestao", id).await, [created.clone()]);
        let _ = api.delete(&format!("/api/v1/projetos/{id}")).await.error(409);
    }
    let csv = api.get(&format!("{PATH}?formato=csv&id_projeto={a}")).await;
    assert!(csv.text.trim_end().ends_with("C|A|B"), "{}", csv.text);
}

#[tokio::test]
async fn put_replaces_all_projetos_and_changes_the_etag() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b, c] = projetos(api, ["A", "B", "C"]).await;
    let created = api.post(PATH, &json!({"nome": "Comum", "ids_projetos": [a, b]})).await.expect(201);
    let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
    let mut etag = api.get(&path).await.header("etag").unwrap().to_owned();

    for (body, expected) in [
        (json!({"ids_projetos": [b, a]}), vec![&b, &a]),
        (json!({"ids_projetos": [b, a, c], "id_projeto": b}), vec![&b, &a, &c]),
        (json!({"id_projeto": c}), vec![&c]),
        (json!({"ids_projetos": [a, c]}), vec![&a, &c]),
    ] {
        let updated = api.put(&path, &body).await.expect(200);
        assert_eq!(ids(&updated), expected, "{body}");
        let read = api.get(&path).await;
        assert_ne!(read.header("etag"), Some(etag.as_str()), "{body}");
        etag = read.header("etag").unwrap().to_owned();
        assert_eq!(read.expect(200), updated);
        assert_eq!(api.put(&path, &body).await.expect(200), updated, "the same again changes nothing");
    }
    assert_eq!(ids(&api.put(&path, &json!({"nome": "Outro nome"})).await.expect(200)), [&a, &c]);
    assert_eq!(api.delete(&format!("/api/v1/projetos/{b}")).await.status, 204);
}

#[tokio::test]
async fn unknown_projetos_are_named_by_their_place_and_nothing_is_stored() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b] = projetos(api, ["A", "B"]).await;
    let (x, y) = (Uuid::from_u128(1).to_string(), Uuid::from_u128(2).to_string());
    let created = api.post(PATH, &json!({"nome": "Comum", "ids_projetos": [a, b]})).await.expect(201);
    let path = format!("{PATH}/{}", created["id"].as_str().unwrap());

    let body = json!({"nome": "Nova", "ids_projetos": [x, a, y]});
    let expected = ["value_error body.ids_projetos.0", "value_error body.ids_projetos.2"];
    assert_eq!(api.post(PATH, &body).await.faults(), expected);
    assert_eq!(api.put(&path, &body).await.faults(), expected);
    let items = json!({"items": [{"nome": "A", "ids_projetos": [a, b]}, {"nome": "B", "ids_projetos": [b, x]}]});
    let answer = api.post(&format!("{PATH}/lote"), &items).await;
    assert_eq!(answer.faults(), ["value_error body.items.1.ids_projetos.1"]);

    assert_eq!(api.get(PATH).await.expect(200), json!({"items": [created], "total": 1}));
}
