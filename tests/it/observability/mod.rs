//! What an operator sees of a service: its log, its metrics, its traces, and what `aponta doctor` says.

mod doctor;
mod logs;
mod metrics;
mod traces;

use e2e::azure::Organisation;
use e2e::server::{Aponta, Program};

const TOKEN: &str = "k7l6m5n4o3p2qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
const EMAIL: &str = "rita.souza@exemplo.br";
/// A trace that a client began and records (the example of the W3C's recommendation).
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A server as in production, whose organisation knows one user; their id comes along.
async fn production(settings: impl FnOnce(Program) -> Program) -> (Organisation, String, Aponta) {
    let organisation = Organisation::start().await;
    let user = organisation.add_user(TOKEN, Some(EMAIL)).to_string();
    let aponta = Aponta::start_with(|program| {
        settings(
            program
                .env("ENVIRONMENT", "production")
                .env("AUTH_ENABLED", "true")
                .env("AZURE_DEVOPS_ORG_URL", organisation.url()),
        )
    });
    (organisation, user, aponta)
}
