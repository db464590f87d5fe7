use e2e::azure::Organisation;
use e2e::server::{Aponta, Program};
use serde_json::Value;

use super::{file, python, succeed};

/// Lets Schemathesis try the API out with every check that it has, except those named.
fn try_out(base: &str, token: &str, except: &[&str]) {
    let exceptions = except.iter().flat_map(|check| ["--exclude-checks", check]);
    let mut command = python("st");
    command
        .arg("--config-file")
        .arg(file("schemathesis.toml"))
        .args(["run", &format!("{base}/openapi.json"), "--checks", "all"])
        .args(exceptions)
        .env("SCHEMATHESIS_HOOKS", file("schemathesis_hooks.py"))
        .env("APONTA_BASE", base)
        .env("APONTA_AUTHORIZATION", format!("Bearer {token}"));
    let printed = succeed(&mut command);
    let tested = format!("Tested: {}\n", operations());
    assert!(printed.contains(&tested), "{tested}{printed}");
}

/// Returns the number of operations in the description of the API.
fn operations() -> usize {
    let document: Value = serde_json::from_str(&Program::new(&["openapi"]).run().stdout()).unwrap();
    document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_passes_without_authentication() {
    let aponta = Aponta::start();

    // Without authentication there is none to ignore.
    try_out(aponta.api.base(), "nada", &["ignored_auth"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_passes_with_authentication() {
    let organisation = Organisation::start().await;
    organisation.add_user("pat-da-ana", Some("ana@exemplo.br"));
    let _ = organisation.add_project("Portal");
    let aponta = Aponta::start_with(|program| {
        program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", organisation.url())
    });

    try_out(aponta.api.base(), "pat-da-ana", &[]);
}
