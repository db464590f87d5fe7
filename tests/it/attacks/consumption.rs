//! API4 unrestricted resource consumption.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::azure::Organisation;
use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::json;

use super::TOKEN;

/// Far longer than any of these should take, far shorter than what it would take to do what they ask for.
const SOON: Duration = Duration::from_secs(5);
/// Two hundred pages of the largest size.
const ROWS: usize = 200_000;

#[tokio::test]
async fn api4_expensive_bodies_are_rejected_early() {
    let aponta = Aponta::start();
    let deep_array = "[".repeat(500_000);
    let deep_object = "{\"a\":".repeat(150_000);
    let keys = (0..60_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    // What a process needs anyway, which it has after its first requests.
    for path in ["/api/v1/atividades", "/api/v1/projetos", "/openapi.json"] {
        assert_eq!(aponta.api.get(path).await.status, 200);
    }
    let before = peak_mb(&aponta);
    let bodies = [
        deep_array,
        deep_object,
        format!("{{\"nome\":{}", "[".repeat(400_000)),
        format!("{{{keys},\"nome\":\"\"}}"),
        format!("{{\"nome\":{}}}", "9".repeat(900_000)),
        "{\"nome\":1e999999999}".to_owned(),
        "{\"nome\":-0.0e-99999999999999999999}".to_owned(),
        format!("{{\"nome\":\"{}\"}}", "\\u0041".repeat(150_000)),
        format!("{{\"items\":[{}]}}", vec!["{}"; 300_000].join(",")),
        // Two bytes each here, and many more in memory.
        format!("{{\"items\":[{}]}}", vec!["0"; 500_000].join(",")),
        format!("{{\"nome\":[{}]}}", vec!["0"; 500_000].join(",")),
        format!("[{}]", vec!["[]"; 340_000].join(",")),
        format!("{{{}}}", vec!["\"\":0"; 200_000].join(",")),
        format!("{{\"nome\":\"{}\"}}", "a".repeat(1_000_000)),
    ];
    for body in bodies {
        for path in ["/api/v1/atividades", "/api/v1/atividades/lote", "/api/v1/projetos"] {
            let began = Instant::now();
            let request = aponta.api.request(Method::POST, path).header("Content-Type", "application/json");
            let response = send(request.body(body.clone())).await;
            assert_eq!(response.status, 422, "{path} {body:.40}");
            assert!(began.elapsed() < SOON, "{path} {body:.40} took {:?}", began.elapsed());
            assert!(response.text.len() < 1024 * 1024, "{} bytes in response to {body:.40}", response.text.len());
        }
        let grown = peak_mb(&aponta) - before;
        assert!(grown < 60, "{body:.40} and those before it took {grown} MB");
    }
}

/// As much as bodies may hold, from several at once: what they cost is bounded by their bytes and not by what stands in them.
#[tokio::test]
async fn api4_concurrent_wide_bodies_need_little_memory() {
    let aponta = Aponta::start();
    assert_eq!(aponta.api.get("/openapi.json").await.status, 200);
    let before = peak_mb(&aponta);
    let body = format!("{{\"nome\":[{}]}}", vec!["0"; 500_000].join(","));

    let post = || aponta.api.request(Method::POST, "/api/v1/atividades").header("Content-Type", "application/json");
    let sent: Vec<_> = (0..16).map(|_| tokio::spawn(send(post().body(body.clone())))).collect();
    for response in sent {
        assert_eq!(response.await.unwrap().status, 422);
    }

    let grown = peak_mb(&aponta) - before;
    assert!(grown < 60, "16 bodies of 1 MiB took {grown} MB");
}

/// Each token that was never seen costs a call to Azure DevOps. Users whose identity has expired do not wait behind them.
#[tokio::test(flavor = "multi_thread")]
async fn api4_unknown_tokens_delay_no_user_and_cause_few_calls() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, Some("ana.lima@exemplo.br"));
    let aponta = Aponta::start_with(|program| {
        // Without a cache every identity has expired by its next request.
        program
            .env("AUTH_ENABLED", "true")
            .env("AUTH_CACHE_TTL", "0")
            .env("AZURE_DEVOPS_ORG_URL", organisation.url())
            .env("TRUSTED_PROXIES", "127.0.0.1")
    });
    let user = async || {
        let began = Instant::now();
        let response = send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(TOKEN)).await;
        assert_eq!(response.status, 200);
        began.elapsed()
    };
    user().await;
    organisation.slow_down(Duration::from_millis(200));
    let before = organisation.calls("connectionData").await;

    // 3,000 tokens, always more than fit in the lane of newcomers and its queue, from thirty addresses.
    let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let unknown: Vec<_> = (0..300)
        .map(|n| {
            let (api, is_over, sent) = (aponta.api.clone(), is_over.clone(), sent.clone());
            tokio::spawn(async move {
                let mut responses = Vec::new();
                // All at once would occupy the machine instead of the queue.
                tokio::time::sleep(Duration::from_millis(5) * n).await;
                while !is_over.load(Ordering::Relaxed) {
                    let token = format!("x.{n}.{}", responses.len());
                    let request = api.request(Method::GET, "/api/v1/projetos").bearer_auth(token);
                    let began = Instant::now();
                    let response = send(request.header("X-Forwarded-For", format!("2001:db8:0:{}::{n}", n % 30))).await;
                    // On a busy machine the stand-in for Azure DevOps may respond too late.
                    let is_asked = matches!(response.status, 401 | 504);
                    assert!(is_asked || response.header("retry-after").is_some(), "{}", response.status);
                    responses.push((response.status, began.elapsed()));
                    sent.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                responses
            })
        })
        .collect();
    // Until the lane and its queue are full.
    while organisation.calls("connectionData").await < before + 32 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut waits = Vec::new();
    while waits.len() < 7 || sent.load(Ordering::Relaxed) < 3_000 {
        waits.push(user().await);
    }
    is_over.store(true, Ordering::Relaxed);
    let mut responses = Vec::new();
    for task in unknown {
        responses.extend(task.await.unwrap());
    }

    let count = |status: u16| responses.iter().filter(|response| response.0 == status).count();
    let rejections = responses.iter().filter(|response| response.0 == 401).map(|response| response.1).collect();
    let (of_users, of_unknown) = (median(waits.clone()), median(rejections));
    let calls = organisation.calls("connectionData").await - before;
    let asked = count(401) + count(504);
    println!("{of_users:?}, {of_unknown:?}; {asked} asked, {} 503, {} 429, {calls} calls", count(503), count(429));
    assert_eq!(asked + count(503) + count(429), responses.len());
    assert!(32 <= count(401) && 0 < count(503), "{} rejected, {} turned away", count(401), count(503));
    assert!(calls <= asked + waits.len(), "{calls} calls for {asked} tokens");
    // A call takes 0.2 s, and its way through the queue of unknown tokens 3.4 s. In one queue with them a user waits as long.
    assert!(of_users < of_unknown / 2, "users wait {of_users:?}, unknown tokens {of_unknown:?}");
}

fn median(mut waits: Vec<Duration>) -> Duration {
    waits.sort();
    waits[waits.len() / 2]
}

/// What fails is limited by address, a /64 where it is IPv6, and a user behind the same address goes on.
#[tokio::test]
async fn api4_failed_sign_ins_are_limited_by_address_without_locking_out_users() {
    let (organisation, aponta) = super::guarded().await;
    let ask = |token: String| send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(token));
    assert_eq!(ask(TOKEN.to_owned()).await.status, 200);

    let mut statuses = Vec::new();
    for n in 0..300 {
        let response = ask(format!("x.{n}.y")).await;
        if response.status == 429 {
            assert_eq!(response.header("retry-after"), Some("1"));
            assert!(response.error(429).contains("tente novamente em instantes"));
        }
        statuses.push(response.status);
        assert_eq!(ask(TOKEN.to_owned()).await.status, 200);
    }

    let count = |status: u16| statuses.iter().filter(|seen| **seen == status).count();
    let (rejected, limited) = (count(401), count(429));
    assert!(statuses[..100].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(100 < limited && rejected + limited == 300, "{rejected} rejected, {limited} limited");
    assert_eq!(organisation.calls("connectionData").await, rejected + 1);
}

/// The most memory that the server ever had, in MB.
fn peak_mb(aponta: &Aponta) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", aponta.server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// The last page of many costs about what the first one does, in every order, also where a text is looked for.
#[tokio::test]
async fn api4_last_page_of_many_is_fast() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    aponta.database.execute(&format!(
        "SET search_path TO api_aponta;
         INSERT INTO atividades (id, nome, ativo, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Revisão nº ' || n || ' do contrato', true, '{projeto}', em, em
         FROM generate_series(1, {ROWS}) n,
              LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' + n * interval '7 seconds' AS em) e;
         ANALYZE atividades;"
    ));

    // The connection that was there before has been closed meanwhile.
    let api = aponta.server.api();
    for q in ["", "&q=CONTRATO"] {
        for ordem in ["criado_em", "-criado_em", "atualizado_em", "-atualizado_em", "nome", "-nome"] {
            let path = format!("/api/v1/atividades?limit=1000&ordem={ordem}{q}&skip={}", ROWS - 1000);
            let began = Instant::now();
            let page = api.get(&path).await.expect(200);
            let took = began.elapsed();
            assert_eq!((page["items"].as_array().unwrap().len(), &page["total"]), (1000, &json!(ROWS)), "{path}");
            assert!(took < SOON, "{path} took {took:?}");
        }
    }
}

#[tokio::test]
async fn api4_pages_and_searches_are_limited() {
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
        let response = aponta.api.get(&format!("/api/v1/atividades?{query}")).await;
        assert_eq!(response.status, 422, "{query}: {:.200}", response.text);
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
        let response = aponta.api.get(&format!("/api/v1/atividades?{query}")).await;
        assert_eq!(response.status, 200, "{query}: {:.200}", response.text);
        assert!(began.elapsed() < SOON, "{query} took {:?}", began.elapsed());
    }
    let many = format!("/api/v1/atividades?{}", "x=1&".repeat(2000));
    assert!([200, 400, 414].contains(&aponta.api.get(&many).await.status));
}

/// A place in the list that the database has not: the first years of its calendar are those of ours.
#[tokio::test]
async fn api4_invalid_cursor_is_rejected() {
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
        let response = aponta.api.get(&format!("/api/v1/atividades?apos={apos}")).await;
        assert_eq!(response.status, 422, "{micros}: {}", response.text);
    }
}

/// The limit is that of the person: another token of theirs does not evade it, and it delays nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn api4_person_over_the_rate_is_rejected_and_others_are_served() {
    let organisation = Organisation::start().await;
    let ana = organisation.add_user(TOKEN, Some("ana.lima@exemplo.br"));
    organisation.add_token("outro-token-da-ana", ana);
    organisation.add_user("token-da-bia", Some("bia@exemplo.br"));
    let aponta = Aponta::start_with(|program| {
        program
            .env("AUTH_ENABLED", "true")
            .env("AZURE_DEVOPS_ORG_URL", organisation.url())
            .env("RATE_PER_PERSON", "10/s;20")
            .env("METRICS_PORT", "0")
    });
    let metrics = aponta.server.wait_for_metrics();
    let get = async |token: &str| send(aponta.api.request(Method::GET, "/api/v1/projetos").bearer_auth(token)).await;
    // The first request of each token asks Azure DevOps.
    for token in [TOKEN, "outro-token-da-ana", "token-da-bia"] {
        assert_eq!(get(token).await.status, 200);
    }

    let began = Instant::now();
    let (mut served, mut refused) = (0, 0);
    while began.elapsed() < Duration::from_secs(3) {
        let token = if served % 2 == 0 { TOKEN } else { "outro-token-da-ana" };
        let response = get(token).await;
        if response.status == 429 {
            assert_eq!(response.error(429), "Requisições demais; tente novamente em instantes");
            assert_eq!(response.header("retry-after"), Some("1"));
            assert_eq!(response.header("ratelimit-policy"), Some(r#""pessoa";q=21;w=3"#));
            refused += 1;
            if refused % 100 == 1 {
                assert_eq!(get("token-da-bia").await.status, 200);
            }
        } else {
            assert_eq!(response.status, 200);
            served += 1;
        }
    }

    let seconds = began.elapsed().as_secs_f64();
    // The burst may be partly used up by the first requests.
    assert!((30.0..=22.0 + 10.0 * seconds).contains(&f64::from(served)), "{served} served in {seconds} s");
    let text = metrics.get("/metrics").await.text;
    assert!(text.contains(&format!("\naponta_rate_limit_refusals_total {refused}\n")), "{refused}: {text}");
}
