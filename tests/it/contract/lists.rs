//! Lists of atividades.

use e2e::client::{Api, send};
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::json;

const PATH: &str = "/api/v1/atividades";

/// The names on a page, and the total.
async fn names(api: &Api, query: &str) -> (Vec<String>, u64) {
    let page = api.get(&format!("{PATH}?{query}")).await.expect(200);
    let names = page["items"].as_array().unwrap().iter().map(|item| item["nome"].as_str().unwrap().to_owned());
    (names.collect(), page["total"].as_u64().unwrap())
}

fn page(names: &str, total: u64) -> (Vec<String>, u64) {
    (names.split_whitespace().map(str::to_owned).collect(), total)
}

/// Atividades A to F, of which B and E are inactive, in two projetos in turn.
async fn with_six_atividades() -> (Aponta, String) {
    let aponta = Aponta::start();
    let (projeto, outro) = (aponta.api.projeto("Portal").await, aponta.api.projeto("Outro").await);
    for (n, nome) in ["A", "B", "C", "D", "E", "F"].into_iter().enumerate() {
        let projeto = if n % 2 == 0 { &projeto } else { &outro };
        let body = json!({"nome": nome, "ativo": !["B", "E"].contains(&nome), "id_projeto": projeto});
        let _ = aponta.api.post(PATH, &body).await.expect(201);
    }
    (aponta, projeto)
}

#[tokio::test]
async fn paging_filters_and_order_combine() {
    let (aponta, projeto) = with_six_atividades().await;
    let api = &aponta.api;

    for (query, expected) in [
        ("", page("F E D C B A", 6)),
        ("limit=2", page("F E", 6)),
        ("limit=2&skip=2", page("D C", 6)),
        ("skip=5", page("A", 6)),
        ("skip=6", page("", 6)),
        ("skip=9223372036854775807", page("", 6)),
        ("limit=1000&x=1&nome=A", page("F E D C B A", 6)),
        ("skip=1&skip=4", page("B A", 6)),
        ("ordem=nome", page("A B C D E F", 6)),
        ("ordem=-nome&limit=1", page("F", 6)),
        ("ordem=criado_em&skip=1&limit=2", page("B C", 6)),
        ("q=a", page("A", 1)),
        ("q=%25", page("", 0)),
    ] {
        assert_eq!(names(api, query).await, expected, "{query}");
    }
    for ativo in ["true", "1", "yes", "on", "TRUE", "Yes"] {
        assert_eq!(names(api, &format!("ativo={ativo}")).await, page("F D C A", 4));
    }
    for ativo in ["false", "0", "no", "off", "False"] {
        assert_eq!(names(api, &format!("ativo={ativo}")).await, page("E B", 2));
    }
    assert_eq!(names(api, &format!("id_projeto={projeto}")).await, page("E C A", 3));
    assert_eq!(names(api, &format!("id_projeto={projeto}&ativo=true&ordem=nome")).await, page("A C", 2));
    assert_eq!(names(api, "id_projeto=00000000-0000-0000-0000-000000000009").await, page("", 0));
}

#[tokio::test]
async fn cursors_and_links_visit_every_row_once() {
    let (aponta, _) = with_six_atividades().await;
    let api = &aponta.api;

    let mut seen = Vec::new();
    let mut apos = String::new();
    loop {
        let page = api.get(&format!("{PATH}?limit=2&apos={apos}")).await.expect(200);
        assert_eq!(page["total"], 6);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["nome"].as_str().unwrap().to_owned()));
        match page["proximo"].as_str() {
            Some(proximo) => proximo.clone_into(&mut apos),
            None => break,
        }
    }
    assert_eq!(seen.concat(), "FEDCBA");

    let mut next = Some(format!("{PATH}?limit=4&ordem=nome"));
    let mut seen = Vec::new();
    while let Some(path) = next {
        let page = api.get(&path).await;
        seen.extend(
            page.expect(200)["items"].as_array().unwrap().iter().map(|item| item["nome"].as_str().unwrap().to_owned()),
        );
        let link = page.header("link").unwrap().split(", ").find(|link| link.ends_with("rel=\"next\""));
        next = link.map(|link| link[1..link.find('>').unwrap()].to_owned());
    }
    assert_eq!(seen.concat(), "ABCDEF");
}

/// Stores so many atividades, each a second older than the one before.
fn insert_atividades(aponta: &Aponta, projeto: &str, n: u32) {
    aponta.database.execute(&format!(
        "INSERT INTO api_aponta.atividades (id, nome, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Atividade ' || n, '{projeto}', now() - n * interval '1 s', now()
         FROM generate_series(1, {n}) n"
    ));
}

#[tokio::test]
async fn csv_contains_every_row() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("Portal").await;
    insert_atividades(&aponta, &projeto, 2500);

    let csv = aponta.api.get(&format!("{PATH}?formato=csv")).await;
    let by_header =
        send(aponta.api.request(Method::GET, &format!("{PATH}?limit=3")).header("Accept", "text/csv")).await;

    let rows: Vec<_> = csv.text.lines().collect();
    assert_eq!((csv.status, rows.len()), (200, 2501));
    assert!(rows[1].contains(",Atividade 1,") && rows[2500].contains(",Atividade 2500,"));
    assert_eq!(by_header.text.lines().count(), 4);
}

/// The most memory that a process has had so far, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn csv_needs_constant_memory() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("Portal").await;
    let csv = format!("{PATH}?formato=csv");
    insert_atividades(&aponta, &projeto, 3000);
    let _ = aponta.api.get(&csv).await;
    let few = peak_memory(aponta.server.pid());

    insert_atividades(&aponta, &projeto, 120_000);
    // The connection that was there before may have been closed meanwhile.
    let rows = aponta.server.api().get(&csv).await.text;
    let many = peak_memory(aponta.server.pid());

    assert_eq!(rows.lines().count(), 123_001);
    // The rows themselves are more than that.
    assert!(15_000_000 < rows.len() && many < few + 10_000, "{few} KiB, then {many} KiB");
}
