use std::process::Command;

use e2e::azure::Organisation;
use e2e::server::Aponta;

use super::{file, succeed};

#[tokio::test(flavor = "multi_thread")]
async fn generated_client_calls_every_operation() {
    let organisation = Organisation::start().await;
    organisation.add_user("pat-do-cliente", Some("ana@exemplo.br"));
    for nome in ["Portal", "Aplicativo"] {
        let _ = organisation.add_project(nome);
    }
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela de pedidos");
    // The journey works in the first project of the list.
    let team = organisation.add_team("Aplicativo", "Time Aplicativo");
    let _ = organisation.add_iteration(&team, "Aplicativo\\Sprint 12", ("2026-11-16", "2026-11-27"), "current");
    organisation.add_work_item(42, "Aplicativo", "Task", "Active", "Fotos");
    organisation.change_work_item(42, |fields| {
        fields.insert("System.IterationPath".to_owned(), "Aplicativo\\Sprint 12".into());
    });
    let aponta = Aponta::start_with(|program| {
        program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", organisation.url())
    });
    let client = file("typescript");

    succeed(Command::new("npm").args(["run", "build"]).current_dir(&client));
    succeed(Command::new("node").arg(client.join("build/journey.js")).args([aponta.api.base(), "pat-do-cliente"]));
}
