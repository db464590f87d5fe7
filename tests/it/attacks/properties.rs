//! API1 broken object level authorization, API3 broken object property level authorization, API6 unrestricted access to
//! sensitive business flows, API7 server side request forgery, API10 unsafe consumption of APIs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::azure::Endpoint;
use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

use super::{TOKEN, guarded};

const FOREIGN: &str = "11111111-1111-4111-8111-111111111111";

/// All members of an organisation may do the same; another tenant's things do not exist.
#[tokio::test]
async fn api1_id_of_another_tenant_returns_404() {
    let (ours, theirs) = (Aponta::start(), Aponta::start());
    let projeto = theirs.api.projeto("P").await;
    let atividade = theirs.api.atividade("A", &projeto).await;

    for path in [format!("/api/v1/atividades/{atividade}"), format!("/api/v1/projetos/{projeto}")] {
        let _ = ours.api.get(&path).await.error(404);
        let _ = ours.api.put(&path, &json!({"nome": "B"})).await.error(404);
        let _ = ours.api.delete(&path).await.error(404);
        assert_eq!(theirs.api.get(&path).await.status, 200);
    }
    let body = json!({"nome": "A", "id_projeto": projeto});
    let unknown = ours.api.post("/api/v1/atividades", &body).await;
    assert_eq!(unknown.error(400), format!("Projeto não encontrado: {projeto}"));
}

/// Who a thing is, who made it and when is not for clients to say.
#[tokio::test]
async fn api3_read_only_fields_are_ignored() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    let forged = json!({
        "nome": "A", "id_projeto": projeto, "id": FOREIGN, "criado_por": "chefe@exemplo.br", "nome_projeto": "Outro",
        "criado_em": "2001-01-01T00:00:00Z", "atualizado_em": "2001-01-01T00:00:00Z", "total": 9, "__proto__": {"ativo": false},
    });
    let created = aponta.api.post("/api/v1/atividades", &forged).await.expect(201);
    let path = format!("/api/v1/atividades/{}", created["id"].as_str().unwrap());
    let changed = aponta.api.put(&path, &forged).await.expect(200);
    let many = json!({"items": [forged]});
    let many = aponta.api.post("/api/v1/atividades/lote", &many).await.expect(201)["items"][0].clone();
    for atividade in [created, changed, many] {
        assert_ne!(atividade["id"], FOREIGN);
        assert_ne!(atividade["criado_por"], "chefe@exemplo.br");
        assert_eq!((&atividade["nome_projeto"], &atividade["ativo"]), (&json!("P"), &json!(true)));
        assert!(!atividade["criado_em"].as_str().unwrap().starts_with("2001"));
    }

    let forged = json!({
        "nome": "Q", "id": FOREIGN, "azure_project_id": FOREIGN, "external_id": FOREIGN, "estado": "deleted", "url": "https://evil.example",
        "criado_em": "2001-01-01T00:00:00Z", "sincronizado_em": "2001-01-01T00:00:00Z", "last_sync_at": "2001-01-01T00:00:00Z",
    });
    let created = aponta.api.post("/api/v1/projetos", &forged).await.expect(201);
    let path = format!("/api/v1/projetos/{}", created["id"].as_str().unwrap());
    let changed = aponta.api.put(&path, &forged).await.expect(200);
    for projeto in [created, changed] {
        let text = projeto.to_string();
        assert!(
            !text.contains(FOREIGN) && !text.contains("evil") && !text.contains("2001") && !text.contains("deleted"),
            "{text}"
        );
    }
}

/// A key belongs to the user who sent it: the same key of another user is independent.
#[tokio::test]
async fn api6_idempotency_key_of_another_user_is_independent() {
    let (organisation, aponta) = guarded().await;
    organisation.add_user("outra-pessoa", Some("rui@exemplo.br"));
    let projeto = organisation.add_project("Portal");
    let create = |token: &str, nome: &str| {
        let request = aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(token);
        send(request.header("Idempotency-Key", "a-mesma").json(&json!({"nome": nome, "id_projeto": projeto})))
    };
    let hers = create(TOKEN, "segredo dela").await.expect(201);
    let his = create("outra-pessoa", "outro").await.expect(201);
    assert_ne!(hers["id"], his["id"]);
    assert_eq!(his["nome"], "outro");
}

/// Nothing that a client sends chooses where the service goes: Azure DevOps is asked for its own paths alone.
#[tokio::test]
async fn api7_ids_cannot_change_the_upstream_path() {
    let (organisation, aponta) = guarded().await;
    let ids = [
        "..%2F..%2F_apis%2Fsecrets",
        "http:%2F%2F169.254.169.254%2Flatest",
        "00000000-0000-0000-0000-00000000000g",
        "@evil.example",
        "00000000-0000-0000-0000-000000000001%0d%0aHost:%20evil",
        "00000000-0000-0000-0000-000000000001?x=",
    ];
    for id in ids {
        for path in [format!("/api/v1/projetos/{id}"), format!("/api/v1/atividades/{id}")] {
            let response = send(aponta.api.request(Method::GET, &path).bearer_auth(TOKEN)).await;
            assert!([404, 422].contains(&response.status), "{path}: {}", response.status);
        }
        let body = json!({"nome": "A", "id_projeto": id});
        let response =
            send(aponta.api.request(Method::POST, "/api/v1/atividades").bearer_auth(TOKEN).json(&body)).await;
        assert_eq!(response.status, 422, "{id}");
    }
    assert_eq!(organisation.calls("evil").await + organisation.calls("secrets").await, 0);
    assert_eq!(organisation.calls("169.254").await, 0);
    assert_eq!(
        organisation.calls("/exemplo/_apis/").await,
        organisation.calls("/").await,
        "another path was asked for"
    );
}

/// An address on loopback that counts who comes there.
struct Bait {
    address: String,
    visitors: Arc<AtomicUsize>,
}

impl Bait {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let visitors = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&visitors);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counting.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, visitors }
    }
}

/// An address in ids, headers, bodies, the request target or a redirect of Azure DevOps is never called.
#[tokio::test]
async fn api7_urls_in_requests_are_never_called() {
    let (organisation, aponta) = guarded().await;
    let Bait { address, visitors } = Bait::start().await;
    let projeto = organisation.add_project("Portal");
    let url = format!("http://{address}/latest");
    let ask = |method: Method, path: &str| aponta.api.request(method, path).bearer_auth(TOKEN);

    for path in ["/api/v1/projetos/", "/api/v1/atividades/"] {
        let escaped = url.replace('/', "%2F");
        let response = send(ask(Method::GET, &format!("{path}{escaped}"))).await;
        assert!([404, 422].contains(&response.status), "{path}: {}", response.status);
    }
    let parameters = ["url", "q", "org", "azure_devops_org_url", "callback", "apos"].map(|name| (name, url.as_str()));
    let _ = send(ask(Method::GET, "/api/v1/atividades").query(&parameters)).await.faults();
    for header in [
        "X-Forwarded-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Azure-Access-Token",
        "X-Azure-DevOps-Org-Url",
        "Forwarded",
        "Referer",
        "Origin",
        "Host",
        "Location",
    ] {
        for value in [&url, &address] {
            let request = ask(Method::GET, "/api/v1/integracao/projetos").header(header, value);
            assert_eq!(send(request).await.status, 200, "{header}: {value}");
        }
    }
    let body = json!({
        "nome": url, "descricao": url, "id_projeto": projeto, "url": url, "azure_devops_org_url": url, "callback": url,
        "$schema": url, "$ref": url,
    });
    assert_eq!(send(ask(Method::POST, "/api/v1/atividades").json(&body)).await.status, 201);
    assert_eq!(send(ask(Method::POST, "/api/v1/projetos").json(&body)).await.status, 201);
    assert_eq!(send(ask(Method::POST, "/api/v1/integracao/sincronizar").json(&body)).await.status, 200);
    let whole = format!("GET {url} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert!(aponta.api.raw(&whole).starts_with("HTTP/1.1 404 "));
    let elsewhere = ResponseTemplate::new(302).insert_header("location", url.as_str());
    organisation.respond_with(Endpoint::Identity, elsewhere.clone());
    organisation.respond_with(Endpoint::Projects, elsewhere);
    let _ = send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth("outro")).await.error(502);
    let _ = send(ask(Method::GET, "/api/v1/integracao/projetos")).await;

    assert_eq!(visitors.load(Ordering::Relaxed), 0);
    // It would have been seen.
    let _ = tokio::net::TcpStream::connect(&address).await.unwrap();
    while visitors.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn api10_responses_of_azure_are_validated() {
    let (organisation, aponta) = guarded().await;
    let sync = || send(aponta.api.request(Method::POST, "/api/v1/integracao/sincronizar").bearer_auth(TOKEN));
    let _ = organisation.add_project("Portal");
    let _ = sync().await.expect(200);

    let deep = "[".repeat(200_000);
    let project =
        |id: Value, name: Value| json!({"count": 1, "value": [{"id": id, "name": name, "state": "wellFormed"}]});
    for body in [deep, "{}".to_owned(), "null".to_owned(), "\u{feff}<html>".to_owned()] {
        let response = ResponseTemplate::new(200).set_body_raw(body, "application/json");
        organisation.respond_with(Endpoint::Projects, response);
        assert_eq!(sync().await.status, 502);
    }
    for unreadable in [project(json!("não é um GUID"), json!("X")), project(json!(7), json!("X"))] {
        organisation.respond_with(Endpoint::Projects, ResponseTemplate::new(200).set_body_json(unreadable));
        assert_eq!(sync().await.expect(200)["projects_failed"], 1);
    }
    let markup = project(
        json!("22222222-2222-4222-8222-222222222222"),
        json!("<script>alert(1)</script>\u{202e}'; DROP TABLE projetos;--"),
    );
    organisation.respond_with(Endpoint::Projects, ResponseTemplate::new(200).set_body_json(markup));
    let _ = sync().await.expect(200);
    organisation.recover();
    let list = send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(TOKEN)).await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
}
