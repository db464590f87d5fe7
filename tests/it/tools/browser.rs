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
