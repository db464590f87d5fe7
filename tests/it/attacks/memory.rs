//! API4 unrestricted resource consumption, in memory: what clients can make the server hold at once.

use std::io::Read;
use std::time::{Duration, Instant};

use e2e::server::Aponta;
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::guarded_by;

/// What the process may have at most, in MB, whatever clients do. Its container has 256.
const MOST: u64 = 128;
/// How long clients that do not read are waited for: the server fills all there is to fill.
const UNREAD: Duration = Duration::from_secs(3);
const LIST: &str = "/api/v1/atividades";

/// As in its image, where the allocator keeps more.
fn as_in_image(program: e2e::server::Program) -> e2e::server::Program {
    program.env("MALLOC_TOP_PAD_", "4194304")
}

/// The resident memory of the server, in MB: now (`VmRSS`) or at most (`VmHWM`).
fn memory_mb(aponta: &Aponta, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", aponta.server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap() / 1024
}

/// Rows with the largest texts that there are, of characters that JSON makes six of, as they could be stored before.
fn fill(aponta: &Aponta, atividades: u32, projetos: u32) {
    aponta.database.execute(&format!(
        "SET search_path TO api_aponta;
         INSERT INTO projetos (id, nome, descricao, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Projeto ' || n, repeat(chr(1), 65536), em, em
         FROM generate_series(1, {projetos}) n, LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' AS em) e;
         INSERT INTO atividades (id, nome, descricao, ativo, id_projeto, criado_em, atualizado_em)
         SELECT gen_random_uuid(), 'Atividade ' || n, repeat(chr(1), 65536), true, (SELECT id FROM projetos LIMIT 1), em, em
         FROM generate_series(1, {atividades}) n,
              LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' + n * interval '1 second' AS em) e;
         ANALYZE;"
    ));
}

/// Sends a GET over a connection that takes as little as it can.
async fn open(aponta: &Aponta, path: &str, headers: &str) -> TcpStream {
    send(aponta, "GET", path, headers).await
}

async fn send(aponta: &Aponta, method: &str, path: &str, headers: &str) -> TcpStream {
    let address = aponta.api.base().trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Sends a request with a body over such a connection.
async fn post(aponta: &Aponta, path: &str, headers: &str, body: &str) -> TcpStream {
    let length = body.len();
    let headers = format!("{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n");
    let mut stream = send(aponta, "POST", path, &headers).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

/// The status, of a response whose first line has arrived, and whether it says when to come back.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut head = vec![0; 1024];
    let mut read = 0;
    while read < head.len() && !head[..read].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut head[read..]).await {
            Ok(0) | Err(_) => break,
            Ok(n) => read += n,
        }
    }
    let head = String::from_utf8_lossy(&head[..read]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {head:?}")).parse().unwrap();
    assert!(status != 503 || head.contains("retry-after: "), "{head}");
    status
}

/// Reads so many bytes, or as many as there are.
async fn read(stream: &mut TcpStream, mut bytes: usize) {
    let mut buffer = vec![0; 64 * 1024];
    while 0 < bytes {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => bytes = bytes.saturating_sub(n),
        }
    }
}

/// Waits until nothing is reserved any more, and what the allocator kept is bounded.
async fn assert_recovers(aponta: &Aponta, path: &str, token: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let response = aponta.api.request(Method::GET, path).bearer_auth(token).send().await.unwrap();
        if response.status() == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "still {}", response.status());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(memory_mb(aponta, "VmRSS") < MOST);
}

/// Fifty at once, of all lists and encodings, of five users: half of them read, half do not.
#[tokio::test]
async fn api4_memory_of_fifty_large_lists_at_once_is_bounded() {
    let tokens: Vec<String> = (0..5).map(|n| format!("usuario{n}-a2b3c4d5e6f7-ABCDEFGHIJ-abcdefghij")).collect();
    let (_organisation, aponta) = guarded_by(&tokens, as_in_image).await;
    fill(&aponta, 1000, 500);
    let mut streams = Vec::new();
    for n in 0..50 {
        let path = match n % 5 {
            0 => format!("{LIST}?limit=1000"),
            1 => format!("{LIST}?limit=1000&apos="),
            2 => format!("{LIST}?formato=csv"),
            3 => format!("{LIST}?limit=1000&ordem=nome"),
            _ => "/api/v1/projetos".to_owned(),
        };
        let encoding = ["identity", "gzip", "br", "gzip, br"][n % 4];
        let token = &tokens[n / 5 % tokens.len()];
        let headers = format!("Authorization: Bearer {token}\r\nAccept-Encoding: {encoding}\r\n");
        streams.push((n, open(&aponta, &path, &headers).await));
    }
    let clients = streams.into_iter().map(|(n, mut stream)| {
        tokio::spawn(async move {
            let status = status(&mut stream).await;
            if n % 2 == 0 {
                read(&mut stream, 8 * 1024 * 1024).await;
            }
            tokio::time::sleep(UNREAD).await;
            status
        })
    });
    let mut statuses = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        statuses.push(client.await.unwrap());
    }

    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(25 <= served, "{statuses:?}");
    let peak = memory_mb(&aponta, "VmHWM");
    assert!(peak < MOST, "{peak} MB; {served} of 50 were served");
    assert_recovers(&aponta, "/api/v1/projetos", &tokens[0]).await;
}

/// Entries of one week with the largest comments: 10,080 of the first user on 10,000 work items, more than a timesheet can have;
/// 2,500 of the second on as many, about what it can have; 2,000 of each other one. And 100 projetos with the largest names.
fn fill_entries(aponta: &Aponta, users: &[String]) {
    let users = users.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    aponta.database.execute(&format!(
        "SET search_path TO api_aponta;
         INSERT INTO projetos (id, nome, criado_em, atualizado_em)
         SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || repeat('\u{1F600}', 250), em, em
         FROM generate_series(1, 100) n, LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' AS em) e;
         INSERT INTO work_items (organizacao, id, titulo, tipo, visto_em)
         SELECT 'exemplo', n, 'Tarefa ' || n || repeat(' com título', 10), 'Task', now() FROM generate_series(1, 10000) n;
         INSERT INTO apontamentos (id, id_projeto, id_atividade, work_item_id, organizacao, data, minutos, comentario,
                                   usuario_id, usuario_nome, criado_em, atualizado_em)
         SELECT gen_random_uuid(), p.id, a.id, CASE WHEN u.nth <= 2 THEN n % 10000 ELSE n % 5 END + 1, 'exemplo',
                date '2026-01-12' + n % 7, 1, repeat('\"', 500), u.id, 'Pessoa ' || u.nth, em, em
         FROM unnest(ARRAY[{users}]) WITH ORDINALITY u (id, nth),
              LATERAL generate_series(1, CASE u.nth WHEN 1 THEN 10080 WHEN 2 THEN 2500 ELSE 2000 END) n,
              LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' + n * interval '1 second' AS em) e,
              (SELECT id FROM projetos WHERE nome = 'Projeto 1') p, (SELECT id FROM atividades WHERE nome = 'Atividade 1') a;
         ANALYZE;"
    ));
}

/// A bulk request whose response names 5,000 projetos, each with 1,000 bytes.
fn naming_5000_projetos() -> String {
    let ids = (1..=100).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect::<Vec<_>>();
    serde_json::json!({"items": vec![serde_json::json!({"nome": "A", "ids_projetos": ids}); 50]}).to_string()
}

/// Fifty requests for everything that has hours, and bulk requests: half of them read, half do not.
#[tokio::test]
async fn api4_memory_of_fifty_mixed_requests_with_hours_is_bounded() {
    let tokens: Vec<String> = (0..5).map(|n| format!("usuario{n}-a2b3c4d5e6f7-ABCDEFGHIJ-abcdefghij")).collect();
    let (_organisation, aponta) = guarded_by(&tokens, as_in_image).await;
    fill(&aponta, 1, 1);
    let mut users = Vec::new();
    for token in &tokens {
        let user = e2e::client::send(aponta.api.request(Method::GET, "/api/v1/user").bearer_auth(token)).await;
        users.push(user.expect(200)["id"].as_str().unwrap().to_owned());
    }
    fill_entries(&aponta, &users);
    let (week, bulk) = ("de=2026-01-12&ate=2026-01-18", naming_5000_projetos());
    let timesheet = "/api/v1/timesheet?organization_name=exemplo&project_id=Projeto%201&week_start=2026-01-14";
    let paths = [
        "/api/v1/apontamentos?limit=1000".to_owned(),
        format!("/api/v1/apontamentos?formato=csv&{week}"),
        timesheet.to_owned(),
        format!("/api/v1/relatorios/horas?{week}&agrupar=work_item,projeto"),
        format!("/api/v1/relatorios/horas?{week}&agrupar=work_item&formato=csv"),
        "/api/v1/apontamentos/work-item/1".to_owned(),
        format!("{LIST}/lote"),
    ];
    let ask = async |kind: usize, token: &str, encoding: &str| {
        let headers = format!("Authorization: Bearer {token}\r\nAccept-Encoding: {encoding}\r\n");
        let path = &paths[kind];
        if kind == 6 { post(&aponta, path, &headers, &bulk).await } else { open(&aponta, path, &headers).await }
    };
    // Each is served when nobody else asks, however busy the machine.
    for kind in 0..paths.len() {
        let mut stream = ask(kind, &tokens[1], "identity").await;
        let status = status(&mut stream).await;
        assert!(status < 300, "{kind}: {status}");
    }
    assert_eq!(status(&mut ask(2, &tokens[0], "identity").await).await, 400, "a week beyond what can be held");
    let mut streams = Vec::new();
    for n in 0..50 {
        streams.push((n, ask(n % 7, &tokens[n / 10], ["identity", "gzip"][n % 2]).await));
    }
    let clients = streams.into_iter().map(|(n, mut stream)| {
        tokio::spawn(async move {
            let status = status(&mut stream).await;
            if n % 2 == 0 {
                read(&mut stream, 32 * 1024 * 1024).await;
            }
            tokio::time::sleep(UNREAD).await;
            (n % 7, status)
        })
    });
    let mut statuses = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        statuses.push(client.await.unwrap());
    }

    let is_expected = |(kind, status): &(usize, u16)| [200, 201, 503].contains(status) || (*kind, *status) == (2, 400);
    assert!(statuses.iter().all(is_expected), "{statuses:?}");
    assert!(statuses.iter().any(|(_, status)| *status < 300), "{statuses:?}");
    let peak = memory_mb(&aponta, "VmHWM");
    assert!(peak < MOST, "{peak} MB; {statuses:?}");
    assert_recovers(&aponta, "/api/v1/apontamentos", &tokens[0]).await;
}

/// Fifty requests for what Azure DevOps has: 2,000 teams, 2,000 iterations and 1,000 work items with the largest names.
#[tokio::test]
async fn api4_memory_of_fifty_requests_for_plans_and_work_items_is_bounded() {
    let tokens: Vec<String> = (0..5).map(|n| format!("usuario{n}-a2b3c4d5e6f7-ABCDEFGHIJ-abcdefghij")).collect();
    let (organisation, aponta) = guarded_by(&tokens, as_in_image).await;
    let (_, name) = (organisation.add_project("Portal"), "\u{1F600}".repeat(60));
    let teams: Vec<_> = (0..2000).map(|n| organisation.add_team("Portal", &format!("Time {n} {name}"))).collect();
    for n in 0..2000 {
        let days = ("2026-01-12", "2026-01-25");
        _ = organisation.add_iteration(&teams[0], &format!("Portal\\Sprint {n} {name}"), days, "past");
    }
    for id in 1..=1000 {
        organisation.add_work_item(id, "Portal", "Task", "Active", &format!("Tela {id} {name}"));
    }
    let project = "organization_name=exemplo&project_id=Portal";
    let paths = [
        format!("/api/v1/teams?{project}"),
        format!("/api/v1/iterations?{project}&team_id={}", teams[0]),
        format!("/api/v1/work-items/search?{project}&query=Tela"),
    ];
    for path in &paths {
        let response = e2e::client::send(aponta.api.request(Method::GET, path).bearer_auth(&tokens[0])).await;
        assert_eq!(response.status, 200, "{path}");
    }
    let mut streams = Vec::new();
    for n in 0..50 {
        let headers = format!("Authorization: Bearer {}\r\nAccept-Encoding: gzip\r\n", tokens[n / 10]);
        streams.push(open(&aponta, &paths[n % 3], &headers).await);
    }
    let mut statuses = Vec::new();
    for stream in &mut streams {
        statuses.push(status(stream).await);
    }

    assert!(statuses.iter().all(|status| [200, 429, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200), "{statuses:?}");
    let peak = memory_mb(&aponta, "VmHWM");
    println!("{peak} MB; {statuses:?}");
    assert!(peak < MOST, "{peak} MB; {statuses:?}");
}

#[tokio::test]
async fn api4_memory_of_unread_exports_is_bounded() {
    let aponta = Aponta::start_with(as_in_image);
    fill(&aponta, 1000, 1);
    for encoding in ["br", "gzip", "identity"] {
        let mut streams = Vec::new();
        for _ in 0..48 {
            let headers = format!("Accept-Encoding: {encoding}\r\n");
            streams.push(open(&aponta, &format!("{LIST}?formato=csv"), &headers).await);
        }
        tokio::time::sleep(UNREAD).await;
        let peak = memory_mb(&aponta, "VmHWM");
        assert!(peak < MOST, "{encoding}: {peak} MB");
    }
    assert_recovers(&aponta, LIST, "").await;
}

/// Documents need no identity, so nothing bounds who asks: they cost no memory but that of connections.
#[tokio::test]
async fn api4_memory_of_unauthenticated_document_requests_is_bounded() {
    let aponta = Aponta::start_with(as_in_image);
    let page = aponta.api.get("/docs").await.text;
    let mut assets = page.split('"').filter(|path| path.starts_with("docs/assets/")).map(|path| format!("/{path}"));
    let bundle = assets.find(|path| path.ends_with("swagger-ui-bundle.js")).unwrap();
    for path in ["/openapi.json", &bundle, "/redoc"] {
        for encoding in ["br", "gzip", "identity"] {
            let headers = format!("Accept-Encoding: {encoding}\r\n");
            let mut streams = Vec::new();
            for _ in 0..300 {
                streams.push(open(&aponta, path, &headers).await);
            }
            for stream in streams.iter_mut().step_by(2) {
                assert_eq!(status(stream).await, 200);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let peak = memory_mb(&aponta, "VmHWM");
            assert!(peak < MOST, "{path} {encoding}: {peak} MB");
        }
    }
    assert_recovers(&aponta, LIST, "").await;
}

/// The text of a response, inflated if it has to be.
async fn text(aponta: &Aponta, path: &str, encoding: &str) -> String {
    let request = aponta.api.request(Method::GET, path).header("Accept-Encoding", encoding);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let is_gzip = response.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    assert_eq!(is_gzip, encoding.contains("gzip"), "{path} {encoding}");
    let bytes = response.bytes().await.unwrap();
    let mut text = String::new();
    if is_gzip {
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes.to_vec()).unwrap();
    }
    text
}

/// However a list is sent, it is whole: short ones, those that take several batches, and all encodings of both.
#[tokio::test]
async fn lists_of_any_size_are_complete_in_every_encoding() {
    let aponta = Aponta::start();
    fill(&aponta, 30, 20);
    let cases = [("limit=3", 3), ("limit=7", 7), ("limit=8", 8), ("limit=20", 20), ("skip=4&limit=20", 20), ("", 30)];
    for (query, rows) in cases {
        for encoding in ["identity", "gzip", "br", "gzip, br"] {
            for cursor in ["", "&apos="] {
                let path = format!("{LIST}?{query}{cursor}");
                let page: Value = serde_json::from_str(&text(&aponta, &path, encoding).await).unwrap();
                let items = page["items"].as_array().unwrap();
                assert_eq!((items.len(), &page["total"]), (rows, &30.into()), "{path} {encoding}");
                let names: Vec<_> = items.iter().map(|item| item["nome"].as_str().unwrap().to_owned()).collect();
                let first = if query.starts_with("skip") { 26 } else { 30 };
                let expected: Vec<_> = (1..=first).rev().take(rows).map(|n| format!("Atividade {n}")).collect();
                assert_eq!(names, expected, "{path} {encoding}");
                assert!(items.iter().all(|item| item["descricao"].as_str().unwrap().len() == 65536));
                assert_eq!(
                    page.get("proximo").is_some_and(Value::is_string),
                    !cursor.is_empty() && rows < 30,
                    "{path}"
                );
            }
        }
    }
    for encoding in ["identity", "gzip", "br"] {
        let csv = text(&aponta, &format!("{LIST}?formato=csv"), encoding).await;
        assert_eq!(csv.matches("\r\n").count(), 31, "{encoding}");
        let csv = text(&aponta, &format!("{LIST}?formato=csv&limit=20"), encoding).await;
        assert_eq!(csv.matches("\r\n").count(), 21, "{encoding}");
        let projetos: Vec<Value> = serde_json::from_str(&text(&aponta, "/api/v1/projetos", encoding).await).unwrap();
        assert_eq!(projetos.len(), 20, "{encoding}");
    }
    // A page that goes on where the one before ended, over several batches each.
    let (mut seen, mut apos) = (Vec::new(), String::new());
    loop {
        let page: Value =
            serde_json::from_str(&text(&aponta, &format!("{LIST}?limit=12&apos={apos}"), "identity").await).unwrap();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["nome"].as_str().unwrap().to_owned()));
        let Some(proximo) = page["proximo"].as_str() else { break };
        apos = proximo.to_owned();
    }
    assert_eq!(seen, (1..=30).rev().map(|n| format!("Atividade {n}")).collect::<Vec<_>>());
}
