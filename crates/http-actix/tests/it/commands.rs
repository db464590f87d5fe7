//! The binary, as far as it needs nothing but its settings.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

const ORGANISATION: (&str, &str) = ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/exemplo");

/// What the binary says with just these variables set, away from everybody's files.
fn aponta(command: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let directory = std::env::temp_dir().join(format!("aponta-commands-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_aponta"));
    let program = program.args(command.split(' ')).env_clear().current_dir(directory).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = program.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

#[test]
fn config_names_all_that_serve_would_refuse() {
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
        let (is_well, said) = aponta("config", &[(name, value)]);

        assert!(!is_well && said.contains(&format!("\n  {name}: ")), "{name}={value}: {said}");
    }
}

#[test]
fn app_tokens_alone_have_to_be_spelled_out_and_need_all_that_proves_membership() {
    let keys = "uma-chave-de-extensao-que-e-longa-o-bastante:7b3c2a1d-0000-4000-8000-000000000001";
    let whole = [
        ("APP_TOKEN_ALONE", "members"),
        ("EXTENSION_APP_KEYS", keys),
        ("AZURE_DEVOPS_ORG_URL", "https://dev.azure.com/exemplo"),
        ("AZURE_DEVOPS_PAT", "um-pat"),
    ];
    let (is_well, said) = aponta("config", &whole);
    assert!(is_well && said.contains("\nAPP_TOKEN_ALONE=members  # environment"), "{said}");

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
        let (is_well, said) = aponta("config", &settings);
        assert!(!is_well && said.contains("\n  APP_TOKEN_ALONE: "), "{changed}={value}: {said}");
    }
}

#[test]
fn sync_interval_without_organisation_or_pat_is_rejected() {
    let whole = [("SYNC_INTERVAL", "900"), ORGANISATION, ("AZURE_DEVOPS_PAT", "um-pat")];
    let (is_well, said) = aponta("config", &whole);
    assert!(is_well && said.contains("\nSYNC_INTERVAL=900  # environment"), "{said}");

    for missing in ["AZURE_DEVOPS_ORG_URL", "AZURE_DEVOPS_PAT"] {
        let mut settings = whole.to_vec();
        settings.retain(|(name, _)| *name != missing);
        settings.push(("AUTH_ANY_ORGANISATION", "true"));
        for command in ["config", "serve", "doctor"] {
            let (is_well, said) = aponta(command, &settings);
            assert!(!is_well && said.contains(&format!("SYNC_INTERVAL: \"900\" needs {missing}")), "{command}: {said}");
        }
    }
}

#[test]
fn config_needs_no_database() {
    let (is_well, said) = aponta("config", &[ORGANISATION]);

    assert!(is_well && said.lines().any(|line| line.starts_with("DATABASE_URL=")), "{said}");
}

#[test]
fn no_command_shows_credentials() {
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
                let (is_well, said) = aponta(command, &[(name, value)]);

                assert!(!is_well && !said.contains("hunter2"), "{command} {name}={value}: {said}");
                assert!(said.contains(&format!("{name}: \"")), "{command} {name}={value}: {said}");
            }
        }
    }
}

#[test]
fn no_command_prints_a_query_of_any_setting() {
    let address = "https://h/x?key=hunter2";
    let (_, config) = aponta("config", &[ORGANISATION]);
    let names: Vec<_> = config.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(names.len() > 20, "{config}");
    for setting in names {
        for command in ["config", "serve", "doctor", "migrate status"] {
            let mut variables = vec![ORGANISATION];
            variables.retain(|(name, _)| *name != setting);
            variables.push((setting, address));
            let (_, said) = aponta(command, &variables);

            assert!(!said.contains("hunter2"), "{command} {setting}: {said}");
        }
    }
}

#[test]
fn production_without_an_organisation_does_not_start() {
    let any = ("AUTH_ANY_ORGANISATION", "true");
    for command in ["config", "serve", "doctor"] {
        let (is_well, said) = aponta(command, &[]);

        let is_named = said.contains("AZURE_DEVOPS_ORG_URL: is missing: every Azure DevOps account");
        assert!(!is_well && is_named, "{command}: {said}");
        assert_eq!(command == "doctor", said.contains("WRONG  settings      AZURE_DEVOPS_ORG_URL: "), "{said}");
        for meant in [ORGANISATION, any, ("ENVIRONMENT", "development")] {
            let (_, said) = aponta(command, &[meant]);
            assert!(!said.contains("AZURE_DEVOPS_ORG_URL: is missing"), "{command} {meant:?}: {said}");
        }
    }
}

#[test]
fn doctor_warns_of_sign_in_from_any_organisation() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (database, profile) = (format!("postgresql://u:p@{gone}/d"), format!("http://{gone}"));

    let (_, said) = aponta(
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
        "--     metrics       0.0.0.0:9464 needs no token",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

/// What `doctor` says of an organisation that answers with that status.
fn examined(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/exemplo", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = client.read(&mut request).unwrap();
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        client.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let database = format!("postgresql://u:p@{gone}/d");
    let (_, said) = aponta("doctor", &[("DATABASE_URL", &database), ("AZURE_DEVOPS_ORG_URL", &address)]);
    assert!(answering.join().unwrap().starts_with("GET /exemplo/_apis/connectionData "));
    said
}

#[test]
fn healthcheck_asks_for_loopback_whatever_the_address() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let answering = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let read = client.read(&mut request).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..read]).to_ascii_lowercase()
    });

    let (is_well, said) = aponta("healthcheck", &[("API_HOST", "127.0.0.2"), ("API_PORT", &port)]);

    assert!(is_well, "{said}");
    let request = answering.join().unwrap();
    assert!(request.starts_with("get /health ") && request.contains("\r\nhost: localhost\r\n"), "{request}");
}

#[test]
fn doctor_tells_an_organisation_from_what_only_answers() {
    let verdicts = [(200, "ok"), (203, "ok"), (302, "ok"), (401, "ok"), (404, "WRONG"), (407, "WRONG"), (502, "WRONG")];
    // Side by side, since each waits for a database first.
    let examinations =
        verdicts.map(|(status, verdict)| (status, verdict, std::thread::spawn(move || examined(status))));
    for (status, verdict, examination) in examinations {
        let said = examination.join().unwrap();
        let line = said.lines().find(|line| line.contains("Azure DevOps")).unwrap();
        assert!(line.starts_with(verdict), "{status}: {said}");
    }
}

#[test]
fn doctor_judges_what_serve_judges() {
    let (is_well, said) = aponta("doctor", &[("LOG", "inof"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "h"), ("API_PORT", "x")]);

    assert!(!is_well);
    for name in ["LOG: ", "OTEL_EXPORTER_OTLP_ENDPOINT: ", "API_PORT: ", "DATABASE_URL: "] {
        assert!(said.lines().any(|line| line.starts_with("WRONG") && line.contains(name)), "{name}: {said}");
    }
}

#[cfg(feature = "embedded")]
#[test]
fn dev_listens_on_the_port_of_the_settings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = std::env::temp_dir().join(format!("aponta-dev-{}", std::process::id()));

    let (_, said) = aponta("dev", &[("API_PORT", &port), ("HOME", home.to_str().unwrap())]);

    std::fs::remove_dir_all(home).unwrap();
    assert!(said.contains(&format!("port {port} of 127.0.0.1 is taken")), "{said}");
}
