//! What a stranger or a user might try, by the OWASP API Security Top 10 of 2023
//! (<https://owasp.org/API-Security/editions/2023/en/0x11-t10/>). SECURITY.md says which tests elsewhere belong to it:
//! everything about tokens is in `azure`, what nginx keeps away in `tests/stack`.

mod access;
mod consumption;
mod injection;
mod loopback;
mod properties;
mod readiness;

use e2e::azure::Organisation;
use e2e::server::Aponta;

/// The token of somebody whom the organisation knows.
const TOKEN: &str = "conhecido-a2b3c4d5e6f7-ABCDEFGHIJ-abcdefghij";

/// A server that asks who is calling, and an organisation that knows one user.
async fn guarded() -> (Organisation, Aponta) {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, Some("ana.lima@exemplo.br"));
    let url = organisation.url();
    let aponta = Aponta::start_with(|program| program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", url));
    (organisation, aponta)
}
