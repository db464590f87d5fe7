//! API4 unrestricted resource consumption.

use std::time::{Duration, Instant};

use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::json;

/// Far longer than any of these should take, far shorter than what it would take to do what they ask for.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn api4_bodies_that_cost_much_to_read_are_refused_soon() {
    let aponta = Aponta::start();
    let deep_array = "[".repeat(500_000);
    let deep_object = "{\"a\":".repeat(150_000);
    let keys = (0..60_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let bodies = [
        deep_array.clone(),
        deep_object,
        format!("{{\"nome\":{}", "[".repeat(400_000)),
        format!("{{{keys},\"nome\":\"\"}}"),
        format!("{{\"nome\":{}}}", "9".repeat(900_000)),
        "{\"nome\":1e999999999}".to_owned(),
        "{\"nome\":-0.0e-99999999999999999999}".to_owned(),
        format!("{{\"nome\":\"{}\"}}", "\\u0041".repeat(150_000)),
        format!("{{\"items\":[{}]}}", vec!["{}"; 300_000].join(",")),
        format!("{{\"nome\":\"{}\"}}", "a".repeat(1_000_000)),
    ];
    for body in bodies {
        for path in ["/api/v1/atividades", "/api/v1/atividades/lote", "/api/v1/projetos"] {
            let began = Instant::now();
            let request = aponta.api.request(Method::POST, path).header("Content-Type", "application/json");
            let answer = send(request.body(body.clone())).await;
            assert_eq!(answer.status, 422, "{path} {body:.40}");
            assert!(began.elapsed() < SOON, "{path} {body:.40} took {:?}", began.elapsed());
            assert!(answer.text.len() < 1024 * 1024, "{} bytes answer {body:.40}", answer.text.len());
        }
    }
}

#[tokio::test]
async fn api4_pages_and_searches_have_their_limits() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    let items: Vec<_> =
        (0..1000).map(|n| json!({"nome": format!("{}{n}", "a".repeat(200)), "id_projeto": projeto})).collect();
    let _ = aponta.api.post("/api/v1/atividades/lote", &json!({"items": items})).await.expect(201);

    for query in [
        "limit=1001",
        "limit=0",
        "limit=-1",
        "limit=99999999999999999999",
        "skip=-1",
        "skip=9223372036854775808",
        "limit=1e3",
        "skip=0x10",
        "limit=%D9%A1",
        "limit=1&limit=2000",
    ] {
        let answer = aponta.api.get(&format!("/api/v1/atividades?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {:.200}", answer.text);
    }
    let long = "a".repeat(255);
    for query in [
        "skip=1000000&limit=1000".to_owned(),
        "skip=9223372036854775807&limit=1000".to_owned(),
        format!("q={long}"),
        format!("q={}", "%25_".repeat(60)),
        format!("q={}", "(a%2B)%2B$".repeat(20)),
    ] {
        let began = Instant::now();
        let answer = aponta.api.get(&format!("/api/v1/atividades?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {:.200}", answer.text);
        assert!(began.elapsed() < SOON, "{query} took {:?}", began.elapsed());
    }
    let many = format!("/api/v1/atividades?{}", "x=1&".repeat(2000));
    assert!([200, 400, 414].contains(&aponta.api.get(&many).await.status));
}

/// A place in the list that the database has not: the first years of its calendar are those of ours.
#[tokio::test]
async fn api4_a_cursor_leads_to_no_place_that_is_none() {
    use base64::Engine;
    let aponta = Aponta::start();
    for micros in [
        "-377705116800000000",
        "-210866803200000001",
        "-62167219200000001",
        "253402300800000000",
        "9223372036854775807",
    ] {
        let text = format!("c{}{micros}", "0".repeat(32));
        let apos = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text);
        let answer = aponta.api.get(&format!("/api/v1/atividades?apos={apos}")).await;
        assert_eq!(answer.status, 422, "{micros}: {}", answer.text);
    }
}
