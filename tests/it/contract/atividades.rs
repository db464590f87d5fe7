//! Creating, reading, changing and deleting atividades.

use e2e::client::{Api, send};
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/api/v1/atividades";

async fn created(api: &Api, body: Value) -> Value {
    api.post(PATH, &body).await.expect(201)
}

fn path(atividade: &Value) -> String {
    format!("{PATH}/{}", atividade["id"].as_str().unwrap())
}

fn is_timestamp(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == "2026-01-12T16:00:00.123456Z".len() && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

#[tokio::test]
async fn created_atividade_is_read_back() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;

    let response = api.post(PATH, &json!({"nome": "  Revisar contrato ", "id_projeto": projeto, "x": 1})).await;

    let mut atividade = response.expect(201);
    assert_eq!(response.header("location"), Some(path(&atividade).as_str()));
    assert_eq!(response.header("cache-control"), Some("private, no-cache"));
    assert_eq!(api.get(&path(&atividade)).await.expect(200), atividade);
    assert_eq!(api.get(PATH).await.expect(200), json!({"items": [atividade], "total": 1}));
    assert_eq!(atividade["criado_em"], atividade["atualizado_em"]);
    for volatile in ["id", "criado_em", "atualizado_em"] {
        let value = atividade.as_object_mut().unwrap().remove(volatile).unwrap();
        assert!(volatile == "id" && Uuid::parse_str(value.as_str().unwrap()).is_ok() || is_timestamp(&value));
    }
    let expected = json!({
        "nome": "Revisar contrato", "descricao": null, "ativo": true, "id_projeto": projeto,
        "nome_projeto": "Portal", "criado_por": "dev@localhost",
        "projetos": [{"id": projeto, "nome": "Portal"}],
    });
    assert_eq!(atividade, expected);
}

#[tokio::test]
async fn put_changes_the_given_fields_and_keeps_the_others() {
    let Aponta { api, .. } = &Aponta::start();
    let (projeto, outro) = (api.projeto("Portal").await, api.projeto("Outro").await);
    let mut atividade =
        created(api, json!({"nome": "A", "descricao": "Texto", "ativo": false, "id_projeto": projeto})).await;
    let path = path(&atividade);

    assert_eq!(api.put(&path, &json!({})).await.expect(200), atividade);
    for (body, changes) in [
        (json!({"nome": "B"}), json!({"nome": "B"})),
        (json!({"descricao": ""}), json!({"descricao": ""})),
        (json!({"descricao": null}), json!({"descricao": null})),
        (json!({"ativo": true}), json!({"ativo": true})),
        (
            json!({"id_projeto": outro}),
            json!({"id_projeto": outro, "nome_projeto": "Outro", "projetos": [{"id": outro, "nome": "Outro"}]}),
        ),
        (json!({"nome": "B", "criado_por": "eu", "id": Uuid::nil(), "criado_em": null}), json!({})),
    ] {
        let changed = api.put(&path, &body).await.expect(200);
        let moved_on = changed["atualizado_em"].as_str() > atividade["atualizado_em"].as_str();
        assert_eq!(moved_on, changes != json!({}), "{body}");
        atividade["atualizado_em"] = changed["atualizado_em"].clone();
        for (field, value) in changes.as_object().unwrap() {
            atividade[field] = value.clone();
        }
        assert_eq!(changed, atividade);
        assert_eq!(api.get(&path).await.expect(200), atividade);
    }
    let nulls = api.put(&path, &json!({"nome": null, "ativo": null, "id_projeto": null})).await;
    assert_eq!(nulls.faults(), ["string_type body.nome", "bool_type body.ativo", "uuid_type body.id_projeto"]);
}

#[tokio::test]
async fn deleted_atividade_returns_404() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    let atividade = created(api, json!({"nome": "A", "id_projeto": projeto})).await;
    let path = path(&atividade);

    let gone = api.delete(&path).await;

    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    let detail = format!("Atividade com ID {} não encontrada", atividade["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.error(404), detail);
    assert_eq!(api.get(&path).await.error(404), detail);
    assert_eq!(api.put(&path, &json!({"nome": "B"})).await.error(404), detail);
    let upper = format!("{PATH}/{}", atividade["id"].as_str().unwrap().to_uppercase());
    assert_eq!(api.get(&upper).await.error(404), detail);
}

#[tokio::test]
async fn special_characters_are_stored_unchanged() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    for nome in [
        "'; DROP TABLE atividades; --",
        "<script>alert(1)</script>",
        r#"100% "certo" \ {id} $1 :id ?"#,
        "\u{202e}abc\u{202c} ﷽ 👩‍👩‍👧 e\u{301}",
        "linha\num\ttab\r\nfim",
        &"🦀".repeat(255),
    ] {
        let atividade = created(api, json!({"nome": nome, "descricao": nome, "id_projeto": projeto})).await;
        let read = api.get(&path(&atividade)).await.expect(200);
        assert_eq!((&read["nome"], &read["descricao"]), (&json!(nome), &json!(nome)));
    }
}

#[tokio::test]
async fn value_at_its_limit_is_accepted_and_beyond_rejected() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    let body =
        |n: usize, bytes: usize| json!({"nome": "é".repeat(n), "descricao": "a".repeat(bytes), "id_projeto": projeto});

    let _ = created(api, body(255, 65_536)).await;
    let refused = api.post(PATH, &body(256, 65_537)).await;

    assert_eq!(refused.faults(), ["string_too_long body.nome", "string_too_long body.descricao"]);
    assert_eq!(refused.json()["detail"][0]["ctx"], json!({"max_length": 255}));
}

#[tokio::test]
async fn concurrent_creates_are_all_stored() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;

    let calls: Vec<_> = (0..64)
        .map(|n| {
            let (api, projeto) = (api.clone(), projeto.clone());
            tokio::spawn(async move { api.atividade(&format!("Atividade {n}"), &projeto).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }

    assert_eq!(api.get(&format!("{PATH}?limit=1")).await.expect(200)["total"], 64);
}

#[tokio::test]
async fn stale_if_match_returns_412() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    let atividade = created(api, json!({"nome": "A", "id_projeto": projeto})).await;
    let path = path(&atividade);
    let first = api.get(&path).await.header("etag").unwrap().to_owned();
    let with =
        |method, header: &str, tag: &str| api.request(method, &path).header(header, tag).json(&json!({"nome": "B"}));

    assert_eq!(send(with(Method::GET, "If-None-Match", &first)).await.status, 304);
    let changed = send(with(Method::PUT, "If-Match", &first)).await;
    let _ = changed.expect(200);
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(
            send(with(method, "If-Match", &first)).await.error(412),
            "O recurso mudou desde que foi lido; leia-o de novo"
        );
    }
    assert_eq!(send(with(Method::GET, "If-None-Match", &first)).await.status, 200);
    assert_eq!(send(with(Method::DELETE, "If-Match", changed.header("etag").unwrap())).await.status, 204);
}

#[tokio::test]
async fn concurrent_puts_with_one_etag_change_once() {
    let Aponta { api, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;
    let atividade = created(api, json!({"nome": "A", "id_projeto": projeto})).await;
    let path = path(&atividade);
    let tag = api.get(&path).await.header("etag").unwrap().to_owned();

    let calls = (0..16).map(|n| {
        let request = api.request(Method::PUT, &path).header("If-Match", &tag).json(&json!({"nome": format!("N{n}")}));
        tokio::spawn(async move { send(request).await.status })
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap());
    }

    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
}
