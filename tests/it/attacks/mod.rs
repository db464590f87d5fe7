//! What an unauthenticated or a signed-in attacker may try, by the OWASP API Security Top 10 of 2023
//! (<https://owasp.org/API-Security/editions/2023/en/0x11-t10/>). SECURITY.md says which tests elsewhere belong to it:
//! everything about tokens is in `azure`, what nginx keeps away in `tests/stack`.

mod access;
mod consumption;
mod injection;
mod loopback;
mod memory;
mod properties;
mod readiness;

use e2e::azure::Organisation;
use e2e::server::{Aponta, Program};

/// The token of a user of the organisation.
const TOKEN: &str = "conhecido-a2b3c4d5e6f7-ABCDEFGHIJ-abcdefghij";

/// A server that asks who is calling, and an organisation that knows one user.
async fn guarded() -> (Organisation, Aponta) {
    guarded_by(&[TOKEN.to_owned()], |program| program).await
}

/// The same with the users of `tokens`, and other settings.
async fn guarded_by(tokens: &[String], settings: impl FnOnce(Program) -> Program) -> (Organisation, Aponta) {
    let organisation = Organisation::start().await;
    for token in tokens {
        organisation.add_user(token, Some("ana.lima@exemplo.br"));
    }
    let url = organisation.url();
    let guard = |program: Program| program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", url);
    let aponta = Aponta::start_with(|program| guard(settings(program)));
    (organisation, aponta)
}
