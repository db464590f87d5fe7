use std::time::{SystemTime, UNIX_EPOCH};

use e2e::azure::{APP_KEY, AUDIENCE, Organisation, app_token};
use e2e::server::Aponta;
use serde_json::json;

use super::{file, python, succeed};

#[tokio::test(flavor = "multi_thread")]
async fn documentation_works_in_a_browser() {
    let Aponta { api, server: _server, .. } = &Aponta::start();
    let projeto = api.projeto("Portal").await;

    succeed(python("python").arg(file("browser.py")).args([api.base(), &projeto]));

    // Each of `/docs` and `/docs/` tried it out.
    let created = api.get("/api/v1/atividades").await.expect(200);
    assert_eq!(created["total"], 2);
    assert_eq!(created["items"][0]["nome"], json!("Do navegador"));
}

/// An access token of the extension.
const ACCESS: &str = "eyJhbGciOiJSUzI1NiJ9.eyJub3RoaW5nIjoxfQ.c2lnbmF0dXJl";

#[tokio::test(flavor = "multi_thread")]
async fn page_of_the_extension_gallery_books_a_week() {
    let organisation = Organisation::start().await;
    let email = "ana.lima@exemplo.br";
    let user = organisation.add_user(ACCESS, Some(email));
    let project = organisation.add_project("Portal");
    for (id, tipo, parent) in [(1, "Epic", 0), (2, "Feature", 1), (3, "User Story", 2), (41, "Task", 3)] {
        organisation.add_work_item(id, "Portal", tipo, "Active", "Tela de pedidos");
        if 0 < parent {
            organisation.set_parent(id, parent);
        }
    }
    organisation.assign(41, "Ana Lima", email);
    organisation.change_work_item(41, |fields| {
        drop(fields.insert("System.IterationPath".to_owned(), json!("Portal\\Sprint 7")))
    });
    let team = organisation.add_team("Portal", "Time Portal");
    let _ = organisation.add_iteration(&team, "Portal\\Sprint 7", ("2026-11-15", "2026-11-28"), "current");
    let Aponta { api, server: _server, .. } = &Aponta::start_with(|program| {
        program
            .env("AUTH_ENABLED", "true")
            .env("AZURE_DEVOPS_ORG_URL", organisation.url())
            .env("EXTENSION_APP_KEYS", format!("{APP_KEY}:{AUDIENCE}"))
            .env("CORS_ORIGINS", "https://*.gallerycdn.vsassets.io")
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let token = app_token(user, now + 3_600);
    let request = api.request(reqwest::Method::POST, "/api/v1/atividades").bearer_auth(&token);
    let atividade = json!({"nome": "Desenvolver", "id_projeto": project});
    let created = e2e::client::send(request.header("X-Azure-Access-Token", ACCESS).json(&atividade)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let config = json!({
        "api": api.base(), "expired": app_token(user, now - 3_600), "token": token, "access": ACCESS, "email": email,
        "organization": "Exemplo", "project": project,
    });

    succeed(python("python").arg(file("extension.py")).arg(config.to_string()));
}
