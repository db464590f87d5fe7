//! Atividades of several projetos.

use e2e::client::{Api, send};
use e2e::server::Aponta;
use reqwest::Method;
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

/// Every form that the two fields refuse, in a create and in an update.
#[tokio::test]
async fn malformed_projetos_are_refused_at_their_place() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b] = projetos(api, ["A", "B"]).await;
    let created = api.post(PATH, &json!({"nome": "Comum", "ids_projetos": [a, b]})).await.expect(201);
    let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
    let many: Vec<_> = (1..=101).map(|n| Uuid::from_u128(n).to_string()).collect();
    let upper = a.to_uppercase();

    for (body, expected) in [
        (json!({"ids_projetos": []}), vec!["too_short body.ids_projetos"]),
        (json!({"ids_projetos": many}), vec!["too_long body.ids_projetos"]),
        (json!({"ids_projetos": null}), vec!["list_type body.ids_projetos"]),
        (json!({"ids_projetos": a}), vec!["list_type body.ids_projetos"]),
        (json!({"ids_projetos": {"0": a}}), vec!["list_type body.ids_projetos"]),
        (
            json!({"ids_projetos": [a, b, upper, b]}),
            vec!["value_error body.ids_projetos.2", "value_error body.ids_projetos.3"],
        ),
        (
            json!({"ids_projetos": [a, null, 1, "x", [b], "\0"]}),
            vec![
                "uuid_type body.ids_projetos.1",
                "uuid_type body.ids_projetos.2",
                "uuid_parsing body.ids_projetos.3",
                "uuid_type body.ids_projetos.4",
                "uuid_parsing body.ids_projetos.5",
            ],
        ),
        (json!({"id_projeto": b, "ids_projetos": [a, b]}), vec!["value_error body.id_projeto"]),
        (json!({"id_projeto": null}), vec!["uuid_type body.id_projeto"]),
        (json!({"id_projeto": [a]}), vec!["uuid_type body.id_projeto"]),
        (
            json!({"id_projeto": "x", "ids_projetos": 1}),
            vec!["uuid_parsing body.id_projeto", "list_type body.ids_projetos"],
        ),
    ] {
        let mut nova = body.clone();
        nova["nome"] = json!("Nova");
        assert_eq!(api.post(PATH, &nova).await.faults(), expected, "{body}");
        assert_eq!(api.put(&path, &body).await.faults(), expected, "{body}");
    }
    assert_eq!(api.post(PATH, &json!({"nome": "Nova"})).await.faults(), ["missing body.id_projeto"]);
    assert_eq!(api.get(PATH).await.expect(200), json!({"items": [created], "total": 1}));
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
        assert_eq!(found_by(api, PATH, id).await, std::slice::from_ref(&created));
        assert_eq!(found_by(api, "/api/v1/atividades/gestao", id).await, std::slice::from_ref(&created));
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
    let text = |id: &str| format!("Projeto não encontrado: {id}");
    let error = |id: &str, loc: Value| json!({"type": "value_error", "loc": loc, "msg": text(id)});
    let at = |index: usize, id: &str| error(id, json!(["body", "ids_projetos", index]));
    for response in [api.post(PATH, &body).await, api.put(&path, &body).await] {
        assert_eq!(response.error(400), format!("{}; {}", text(&x), text(&y)));
        assert_eq!(response.json()["errors"], json!([at(0, &x), at(2, &y)]));
    }
    let items = json!({"items": [{"nome": "A", "ids_projetos": [a, b]}, {"nome": "B", "ids_projetos": [b, x]}]});
    let response = api.post(&format!("{PATH}/lote"), &items).await;
    assert_eq!(response.error(400), text(&x));
    assert_eq!(response.json()["errors"], json!([error(&x, json!(["body", "items", 1, "ids_projetos", 1]))]));

    assert_eq!(api.get(PATH).await.expect(200), json!({"items": [created], "total": 1}));
}

/// What the two lists show is the same: total, pages, order, links, CSV, HEAD, and what they refuse.
#[tokio::test]
async fn gestao_returns_the_same_as_the_list() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b] = projetos(api, ["A", "B"]).await;
    for (nome, ids) in [("Um", json!([a])), ("Dois", json!([b, a])), ("Três", json!([b]))] {
        let _ = api.post(PATH, &json!({"nome": nome, "ids_projetos": ids})).await.expect(201);
    }

    for query in [
        String::new(),
        format!("?id_projeto={a}&ordem=nome"),
        "?skip=1&limit=1&ativo=sim".to_owned(),
        "?skip=1&limit=1&ativo=on".to_owned(),
        "?q=tres".to_owned(),
        "?limit=2&apos=".to_owned(),
        "?limit=0".to_owned(),
        "?formato=csv&separador=;".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let [list, gestao] = [PATH.to_owned(), format!("{PATH}/gestao")].map(|path| format!("{path}{query}"));
            let list = send(api.request(method.clone(), &list)).await;
            let gestao = send(api.request(method.clone(), &gestao)).await;
            assert_eq!((gestao.status, &gestao.text), (list.status, &list.text), "{method} {query}");
            for header in ["content-type", "cache-control", "vary", "content-length", "content-disposition"] {
                assert_eq!(gestao.header(header), list.header(header), "{method} {query} {header}");
            }
            let link = list.header("link").map(|link| link.replace(PATH, &format!("{PATH}/gestao")));
            assert_eq!(gestao.header("link"), link.as_deref(), "{method} {query}");
        }
    }
    assert_eq!(
        api.post(&format!("{PATH}/gestao"), &json!({})).await.error(405),
        api.post(&format!("{PATH}/{a}"), &json!({})).await.error(405)
    );
}

/// A key makes the same atividade again, with the projetos of the first response; another order is another request.
#[tokio::test]
async fn idempotency_key_is_for_the_same_projetos_in_the_same_order() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b] = projetos(api, ["A", "B"]).await;
    let post = |body: Value| send(api.request(Method::POST, PATH).header("idempotency-key", "k").json(&body));
    let body = json!({"nome": "Comum", "ids_projetos": [b, a]});

    let first = post(body.clone()).await;
    let created = first.expect(201);
    let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
    let _ = api.put(&path, &json!({"ids_projetos": [a]})).await.expect(200);
    let again = post(body).await;

    assert_eq!(again.expect(201), created);
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(post(json!({"nome": "Comum", "ids_projetos": [a, b]})).await.status, 422);
    assert_eq!(api.get(PATH).await.expect(200)["total"], 1);
}

#[tokio::test]
async fn conditional_requests_cover_the_projetos() {
    let Aponta { api, .. } = &Aponta::start();
    let [a, b] = projetos(api, ["A", "B"]).await;
    let created = api.post(PATH, &json!({"nome": "Comum", "ids_projetos": [a, b]})).await;
    let path = format!("{PATH}/{}", created.expect(201)["id"].as_str().unwrap());
    let etag = created.header("etag").unwrap().to_owned();
    let known = |etag: String| send(api.request(Method::GET, &path).header("if-none-match", etag));
    let put = |etag: String, ids: Value| {
        send(api.request(Method::PUT, &path).header("if-match", etag).json(&json!({"ids_projetos": ids})))
    };

    assert_eq!(known(etag.clone()).await.status, 304);
    let swapped = put(etag.clone(), json!([b, a])).await;
    assert_eq!(ids(&swapped.expect(200)), [&b, &a]);
    let _ = put(etag.clone(), json!([a])).await.error(412);
    assert_eq!(known(etag).await.expect(200), swapped.json());
    // The name of a projeto is part of what is shown.
    let new = swapped.header("etag").unwrap().to_owned();
    assert_eq!(known(new.clone()).await.status, 304);
    let _ = api.put(&format!("/api/v1/projetos/{a}"), &json!({"nome": "Outro nome"})).await.expect(200);
    assert_eq!(known(new).await.expect(200)["projetos"][1]["nome"], "Outro nome");
}

/// Either the projeto is deleted and the atividade refused, or the other way round; no atividade is without a projeto.
#[tokio::test(flavor = "multi_thread")]
async fn projeto_deleted_at_the_same_time_is_refused_or_unknown() {
    let Aponta { api, .. } = &Aponta::start();
    let [a] = projetos(api, ["A"]).await;
    for round in 0..20 {
        let [x] = projetos(api, ["X"]).await;
        let list = if round % 2 == 0 { json!([a, x]) } else { json!([x]) };
        let before = api.post(PATH, &json!({"nome": "Antes", "ids_projetos": [a]})).await.expect(201);
        let path = format!("{PATH}/{}", before["id"].as_str().unwrap());
        let body = json!({"nome": "Nova", "ids_projetos": list});
        let projeto = format!("/api/v1/projetos/{x}");

        let (created, updated, deleted) =
            tokio::join!(api.post(PATH, &body), api.put(&path, &body), api.delete(&projeto));

        let is_deleted = deleted.status == 204;
        let stored: Vec<_> =
            [(&created, 201), (&updated, 200)].into_iter().filter(|(response, ok)| response.status == *ok).collect();
        assert!(is_deleted || deleted.status == 409, "{}", deleted.text);
        for response in [&created, &updated] {
            assert!([200, 201].contains(&response.status) || is_deleted && response.status == 400, "{}", response.text);
        }
        assert_eq!(is_deleted, stored.is_empty(), "{} {} {}", deleted.text, created.text, updated.text);
        let listed = api.get(PATH).await.expect(200);
        assert!(listed["items"].as_array().unwrap().iter().all(|atividade| !ids(atividade).is_empty()));
        assert_eq!(found_by(api, PATH, &x).await.len(), stored.len());
    }
}
