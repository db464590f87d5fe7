//! Commands that need nothing but settings.

use std::io::{Read, Write};
use std::net::TcpListener;
#[cfg(feature = "embedded")]
use std::net::TcpStream;
#[cfg(feature = "embedded")]
use std::process::Child;
use std::process::{Command, Output, Stdio};
#[cfg(feature = "embedded")]
use std::time::{Duration, Instant};

const ORGANISATION: (&str, &str) = ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/exemplo");

/// Runs the binary with these variables only, in an empty directory. Returns whether it succeeded, and its output.
fn aponta(command: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let directory = std::env::temp_dir().join(format!("aponta-commands-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_aponta"));
    let program = program.args(command.split(' ')).env_clear().current_dir(directory).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = program.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

#[test]
fn config_with_a_setting_that_serve_rejects_names_it() {
    for (name, value) in [
        ("LOG", "inof"),
        ("LOG", "warning"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://h"),
        ("AZURE_DEVOPS_ORG_URL", "http://h/x"),
        ("AZURE_DEVOPS_PROFILE_URL", "h"),
        ("EXTENSION_APP_KEYS", "x"),
        ("DATABASE_SCHEMA", "pg_x"),
        ("DATABASE_URL", "mysql://u:p@h/d"),
        ("API_PORT", "x"),
    ] {
        let (is_success, output) = aponta("config", &[(name, value)]);

        assert!(!is_success && output.contains(&format!("\n  {name}: ")), "{name}={value}: {output}");
    }
}

#[test]
fn app_token_alone_without_a_proof_of_membership_is_rejected() {
    let keys = "uma-chave-de-extensao-que-e-longa-o-bastante:7b3c2a1d-0000-4000-8000-000000000001";
    let whole = [
        ("APP_TOKEN_ALONE", "members"),
        ("EXTENSION_APP_KEYS", keys),
        ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/exemplo"),
        ("AZURE_DEVOPS_PAT", "um-pat"),
    ];
    let (is_success, output) = aponta("config", &whole);
    assert!(is_success && output.contains("\nAPP_TOKEN_ALONE=members  # environment"), "{output}");

    for (changed, value) in [
        ("APP_TOKEN_ALONE", "true"),
        ("APP_TOKEN_ALONE", "on"),
        ("APP_TOKEN_ALONE", "Members"),
        ("EXTENSION_APP_KEYS", ""),
        ("AZURE_DEVOPS_ORG_URL", ""),
        ("AZURE_DEVOPS_ORG_URL", "https://tfs.exemplo.br/Colecao"),
        ("AZURE_DEVOPS_PAT", ""),
    ] {
        let settings = whole.map(|(name, old)| (name, if name == changed { value } else { old }));
        let (is_success, output) = aponta("config", &settings);
        assert!(!is_success && output.contains("\n  APP_TOKEN_ALONE: "), "{changed}={value}: {output}");
    }
}

#[test]
fn sync_interval_without_organisation_or_pat_is_rejected() {
    let whole = [("SYNC_INTERVAL", "900"), ORGANISATION, ("AZURE_DEVOPS_PAT", "um-pat")];
    let (is_success, output) = aponta("config", &whole);
    assert!(is_success && output.contains("\nSYNC_INTERVAL=900  # environment"), "{output}");

    for missing in ["AZURE_DEVOPS_ORG_URL", "AZURE_DEVOPS_PAT"] {
        let mut settings = whole.to_vec();
        settings.retain(|(name, _)| *name != missing);
        settings.push(("AUTH_ANY_ORGANISATION", "true"));
        for command in ["config", "serve", "doctor"] {
            let (is_success, output) = aponta(command, &settings);
            assert!(
                !is_success && output.contains(&format!("SYNC_INTERVAL: \"900\" needs {missing}")),
                "{command}: {output}"
            );
        }
    }
}

#[test]
fn config_without_a_database_succeeds() {
    let (is_success, output) = aponta("config", &[ORGANISATION]);

    assert!(is_success && output.lines().any(|line| line.starts_with("DATABASE_URL=")), "{output}");
}

#[test]
fn commands_with_credentials_in_an_address_mask_them() {
    for name in ["AZURE_DEVOPS_ORG_URL", "AZURE_DEVOPS_PROFILE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "DATABASE_HOST"] {
        for value in [
            "https://u:hunter2@h/x",
            "https://hunter2@h",
            "u:hunter2@h",
            "https://u:hunter2/x@h",
            "https://h/x?key=hunter2",
            "https://h/x#hunter2",
        ] {
            for command in ["config", "serve", "doctor"] {
                let (is_success, output) = aponta(command, &[(name, value)]);

                assert!(!is_success && !output.contains("hunter2"), "{command} {name}={value}: {output}");
                assert!(output.contains(&format!("{name}: \"")), "{command} {name}={value}: {output}");
            }
        }
    }
}

#[test]
fn commands_with_a_query_in_an_address_mask_it() {
    let address = "https://h/x?key=hunter2";
    let (_, config) = aponta("config", &[ORGANISATION]);
    let names: Vec<_> = config.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(names.len() > 20, "{config}");
    for setting in names {
        for command in ["config", "serve", "doctor", "migrate status"] {
            let mut variables = vec![ORGANISATION];
            variables.retain(|(name, _)| *name != setting);
            variables.push((setting, address));
            let (_, output) = aponta(command, &variables);

            assert!(!output.contains("hunter2"), "{command} {setting}: {output}");
        }
    }
}

#[test]
fn production_without_an_organisation_is_rejected() {
    let any = ("AUTH_ANY_ORGANISATION", "true");
    for command in ["config", "serve", "doctor"] {
        let (is_success, output) = aponta(command, &[]);

        let is_named = output.contains("AZURE_DEVOPS_ORG_URL: is missing: every Azure DevOps account");
        assert!(!is_success && is_named, "{command}: {output}");
        assert_eq!(command == "doctor", output.contains("WRONG  settings      AZURE_DEVOPS_ORG_URL: "), "{output}");
        for allowed in [ORGANISATION, any, ("ENVIRONMENT", "development")] {
            let (_, output) = aponta(command, &[allowed]);
            assert!(!output.contains("AZURE_DEVOPS_ORG_URL: is missing"), "{command} {allowed:?}: {output}");
        }
    }
}

#[test]
fn doctor_with_exposing_settings_prints_warnings() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (database, profile) = (format!("postgresql://u:p@{gone}/d"), format!("http://{gone}"));

    let (_, output) = aponta(
        "doctor",
        &[
            ("AUTH_ANY_ORGANISATION", "true"),
            ("DATABASE_URL", &database),
            ("AZURE_DEVOPS_PROFILE_URL", &profile),
            ("CORS_ORIGINS", "http://a.exemplo.br"),
            ("METRICS_PORT", "9464"),
        ],
    );

    for line in [
        "WARN   settings      AZURE_DEVOPS_ORG_URL: is unset: every Azure DevOps account",
        "WARN   settings      CORS_ORIGINS: holds an http origin",
        "WARN   proxies       TRUSTED_PROXIES is unset",
        "WARN   TLS           0.0.0.0:8000 accepts plain HTTP",
        "WARN   metrics       0.0.0.0:9464 gives the metrics to other hosts",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }
}

/// The output of `doctor` for an organisation that responds with `status`.
fn doctor_output(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/exemplo", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = client.read(&mut request).unwrap();
        let response = format!(
            "HTTP/1.1 {status} X\r\nlocation: https://spsprodsbr1.vssps.visualstudio.com/_signin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        client.write_all(response.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let database = format!("postgresql://u:p@{gone}/d");
    let (_, output) = aponta("doctor", &[("DATABASE_URL", &database), ("AZURE_DEVOPS_ORG_URL", &address)]);
    assert!(server.join().unwrap().starts_with("GET /exemplo/_apis/connectionData?"));
    output
}

#[test]
fn healthcheck_on_any_address_sends_a_loopback_host() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = client.read(&mut request).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..read]).to_ascii_lowercase()
    });

    let (is_success, output) = aponta("healthcheck", &[("API_HOST", "127.0.0.2"), ("API_PORT", &port)]);

    assert!(is_success, "{output}");
    let request = server.join().unwrap();
    assert!(request.starts_with("get /health ") && request.contains("\r\nhost: localhost\r\n"), "{request}");
}

#[test]
fn doctor_with_an_unexpected_status_reports_the_organisation_as_wrong() {
    let verdicts = [(200, "ok"), (203, "ok"), (302, "ok"), (401, "ok"), (404, "WRONG"), (407, "WRONG"), (502, "WRONG")];
    // Concurrently, because each waits for a database first.
    let examinations =
        verdicts.map(|(status, verdict)| (status, verdict, std::thread::spawn(move || doctor_output(status))));
    for (status, verdict, examination) in examinations {
        let output = examination.join().unwrap();
        let line = output.lines().find(|line| line.contains("Azure DevOps")).unwrap();
        assert!(line.starts_with(verdict), "{status}: {output}");
    }
}

#[test]
fn doctor_with_a_setting_that_serve_rejects_names_it() {
    let (is_success, output) =
        aponta("doctor", &[("LOG", "inof"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "h"), ("API_PORT", "x")]);

    assert!(!is_success);
    for name in ["LOG: ", "OTEL_EXPORTER_OTLP_ENDPOINT: ", "API_PORT: ", "DATABASE_URL: "] {
        assert!(output.lines().any(|line| line.starts_with("WRONG") && line.contains(name)), "{name}: {output}");
    }
}

/// Runs a command whose reader closes both of its streams at once. Returns whether it succeeded.
fn succeeds_without_a_reader(command: &str, variables: &[(&str, &str)]) -> bool {
    let mut program = Command::new(env!("CARGO_BIN_EXE_aponta"));
    let program = program.arg(command).env_clear().current_dir(std::env::temp_dir()).envs(variables.iter().copied());
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().unwrap();
    assert!(matches!(status.code(), Some(0 | 1)), "{command}: a panic is 101: {status}");
    status.success()
}

#[test]
fn commands_without_a_reader_of_their_output_end_quietly() {
    assert!(succeeds_without_a_reader("config", &[ORGANISATION]));
    assert!(succeeds_without_a_reader("openapi", &[]));
    assert!(!succeeds_without_a_reader("doctor", &[]), "its exit code stays the result of the checks");
    assert!(!succeeds_without_a_reader("serve", &[]));
}

#[cfg(feature = "embedded")]
#[test]
fn dev_without_a_reader_of_its_output_serves_on() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = std::env::temp_dir().join(format!("aponta-dev-quiet-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_aponta"));
    let program = program.args(["dev", "--port", &port.to_string()]).env_clear().env("HOME", &home).current_dir(&home);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));

    // The second response comes after the banner and the log line of the first request met closed streams.
    let responses = [health(port, &mut child), health(port, &mut child)];

    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(home).unwrap();
    assert!(responses.iter().all(|response| response.starts_with("HTTP/1.1 200 ")), "{responses:?}");
}

/// The response of `/health`, once the process listens.
#[cfg(feature = "embedded")]
fn health(port: u16, child: &mut Child) -> String {
    let started = Instant::now();
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            return response;
        }
        assert!(child.try_wait().unwrap().is_none(), "the process has ended");
        assert!(started.elapsed() < Duration::from_mins(1), "the process does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(feature = "embedded")]
#[test]
fn dev_without_a_port_option_uses_api_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = std::env::temp_dir().join(format!("aponta-dev-{}", std::process::id()));

    let (_, output) = aponta("dev", &[("API_PORT", &port), ("HOME", home.to_str().unwrap())]);

    std::fs::remove_dir_all(home).unwrap();
    assert!(output.contains(&format!("port {port} of 127.0.0.1 is taken")), "{output}");
}
