//! Many at once, and requests that are sent again.

use e2e::client::{Api, Response, send};
use e2e::server::{Aponta, Program};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/atividades";

async fn keyed(api: &Api, path: &str, key: &str, body: &Value) -> Response {
    send(api.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

async fn total(api: &Api) -> u64 {
    api.get(PATH).await.expect(200)["total"].as_u64().unwrap()
}

#[tokio::test]
async fn lote_is_stored_completely_or_not_at_all() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    let item = |n: usize| json!({"nome": format!("Atividade {n}"), "id_projeto": projeto});
    let mut items: Vec<_> = (0..1000).map(item).collect();

    let created = api.post(&format!("{PATH}/lote"), &json!({"items": items})).await.expect(201);
    assert_eq!(created["total"], 1000);
    let newest = api.get(&format!("{PATH}?limit=2")).await.expect(200);
    assert_eq!(newest["items"], json!([created["items"][999], created["items"][998]]));

    items[500] = json!({"nome": "A", "id_projeto": "00000000-0000-0000-0000-000000000009"});
    items[501] = json!({"nome": "", "id_projeto": projeto});
    let refused = api.post(&format!("{PATH}/lote"), &json!({"items": items})).await;
    assert_eq!(refused.faults(), ["string_too_short body.items.501.nome"]);
    items[501] = item(501);
    let refused = api.post(&format!("{PATH}/lote"), &json!({"items": items})).await;
    assert_eq!(refused.error(400), "Projeto não encontrado: 00000000-0000-0000-0000-000000000009");
    assert_eq!(refused.json()["errors"][0]["loc"], json!(["body", "items", 500, "id_projeto"]));
    items.push(item(1000));
    let refused = api.post(&format!("{PATH}/lote"), &json!({"items": items})).await;
    assert_eq!(refused.faults(), ["too_long body.items"]);
    assert_eq!(total(api).await, 1000);
}

#[tokio::test]
async fn repeated_request_is_executed_once_on_all_replicas() {
    let Aponta { api, mut server, database } = Aponta::start();
    let projeto = api.projeto("Portal").await;
    let body = json!({"nome": "A", "id_projeto": projeto});

    let first = keyed(&api, PATH, "a-1", &body).await;
    let changed = format!("{PATH}/{}", first.expect(201)["id"].as_str().unwrap());
    let _ = api.put(&changed, &json!({"nome": "B"})).await.expect(200);
    server.kill();
    let server = Program::serve(&database).start();
    let api = server.api();
    let again = keyed(&api, PATH, "a-1", &body).await;

    assert_eq!(again.expect(201), first.json());
    for header in ["location", "etag"] {
        assert_eq!(again.header(header), first.header(header));
    }
    let other = keyed(&api, PATH, "a-1", &json!({"nome": "C", "id_projeto": projeto})).await;
    assert_eq!(other.error(422), "A chave de idempotência já foi usada com outra requisição");
    assert_eq!(keyed(&api, PATH, "a b", &body).await.status, 400);
    let _ = keyed(&api, PATH, "a-2", &body).await.expect(201);
    assert_eq!(total(&api).await, 2);
    database.execute("UPDATE api_aponta.idempotencia SET criado_em = criado_em - interval '24 h'");
    let _ = keyed(&api, PATH, "a-1", &json!({"nome": "D", "id_projeto": projeto})).await.expect(201);
    let remembered = "SELECT chave FROM api_aponta.idempotencia WHERE now() - interval '1 h' < criado_em";
    assert_eq!(database.query(remembered), "a-1");
}

#[tokio::test]
async fn concurrent_requests_with_one_key_are_executed_once() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    let atividade = json!({"nome": "A", "id_projeto": projeto});
    for (path, body) in [
        (PATH.to_owned(), atividade.clone()),
        ("/api/v1/projetos".to_owned(), json!({"nome": "Outro"})),
        (format!("{PATH}/lote"), json!({"items": [atividade, atividade]})),
    ] {
        let calls = (0..16).map(|_| {
            let (api, path, body) = (api.clone(), path.clone(), body.clone());
            tokio::spawn(async move { keyed(&api, &path, &format!("k-{}", path.len()), &body).await.expect(201) })
        });
        let mut responses = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            responses.push(call.await.unwrap());
        }
        assert!(responses.iter().all(|response| *response == responses[0]), "{path}");
    }
    assert_eq!(total(api).await, 3);
    assert_eq!(api.get("/api/v1/projetos").await.expect(200).as_array().unwrap().len(), 2);
}
