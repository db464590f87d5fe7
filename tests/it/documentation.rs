//! The examples of the documents, run again: the responses in them are those that the service returns.
//!
//! `UPDATE_DOCS=1 cargo test -p e2e documentation` writes the responses into the documents.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::azure::Organisation;
use e2e::server::{Aponta, Program};
use regex::{Captures, Regex};

/// The address in the documents.
const ADDRESS: &str = "http://127.0.0.1:8000";

/// The organisation in the documents.
const AZURE: &str = "https://dev.azure.com/exemplo";
/// The token that the documents call `$TOKEN`.
const TOKEN: &str = "um-token-da-ana";

/// What differs from run to run: ids, times, and what comes of them.
const VOLATILE: &str = concat!(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
    r"|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)",
    r"|(?m:^date: (.+)$)",
    r#"|(?m:^etag: "(.+)"$)"#,
    r#"|"proximo": ?"([^"]+)""#,
);
/// The groups of [`VOLATILE`] that commands use again.
const IDS: [usize; 2] = [1, 4];

#[test]
fn the_readme_tells_the_truth() {
    let server = Program::new(&["dev", "--port", "0"]).start();

    check("README.md", &server.wait_for_address(), ADDRESS);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_api_return_the_documented_responses() {
    let organisation = Organisation::start().await;
    organisation.add_user(TOKEN, Some("ana.lima@exemplo.com.br"));
    for nome in ["Portal", "Aplicativo"] {
        let _ = organisation.add_project(nome);
    }
    for (id, titulo) in [(41, "Tela de pedidos"), (42, "Contrato de suporte")] {
        organisation.add_work_item(id, "Portal", "Task", "Active", titulo);
    }
    organisation.add_work_item(104, "Portal", "Task", "Active", "Desenvolver tela de pedidos");
    organisation.change_work_item(104, |fields| {
        for (field, hours) in [("OriginalEstimate", 16.0), ("CompletedWork", 6.0), ("RemainingWork", 10.0)] {
            fields.insert(format!("Microsoft.VSTS.Scheduling.{field}"), hours.into());
        }
    });
    organisation.add_work_item(103, "Portal", "User Story", "Active", "Acompanhar meus pedidos");
    organisation.set_parent(104, 103);
    organisation.assign(104, "Ana Lima", "ana.lima@exemplo.com.br");
    let team = organisation.add_team("Portal", "Time Portal");
    let _ = organisation.add_iteration(&team, "Portal\\Sprint 12", ("2026-11-16", "2026-11-27"), "current");
    organisation.change_work_item(104, |fields| {
        fields.insert("System.IterationPath".to_owned(), "Portal\\Sprint 12".into());
    });
    let aponta = Aponta::start_with(|program| {
        program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", organisation.url())
    });

    check("docs/api.md", aponta.api.base(), &organisation.url());
}

/// A change of the contract shows in review.
#[test]
fn the_description_in_the_repository_is_that_of_the_api() {
    let printed = Program::new(&["openapi"]).run().stdout();
    let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let current = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let differs = kept.lines().zip(current.lines()).position(|(kept, current)| kept != current);
    assert!(kept == current, "docs/openapi.json is old from line {differs:?} on: UPDATE_DOCS=1 writes it anew");
}

/// Compares a document with itself after its commands were run again at `base`, or writes the latter. `azure` is where
/// the organisation is.
fn check(file: &str, base: &str, azure: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let document = std::fs::read_to_string(&path).unwrap();
    let replayed = replay(&document, base, azure);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, replayed).unwrap();
    } else {
        assert_eq!(document, replayed, "{file}: UPDATE_DOCS=1 writes the current responses");
    }
}

/// The document with the current responses of the server: each `sh` block that calls it is run, and the block that
/// follows is what it printed.
fn replay(document: &str, base: &str, azure: &str) -> String {
    let block = Regex::new(r"(?ms)^```sh\n([^`]*?http://127\.0\.0\.1:8000[^`]*?)```\n\n```(\w*)\n(.*?)\n```$").unwrap();
    let mut names = Names::default();
    let mut replayed = String::new();
    let mut end = 0;
    for found in block.captures_iter(document) {
        let response = found.get(3).unwrap();
        let printed = run(&names.now(&found[1]).replace(ADDRESS, base)).replace(base, ADDRESS).replace(azure, AZURE);
        let printed = if &found[2] == "json" { indented(&printed) } else { printed };
        replayed += &document[end..response.start()];
        replayed += &names.documented(&printed, response.as_str());
        end = response.end();
    }
    assert!(end > 0, "the document has no examples");
    replayed + &document[end..]
}

fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).env("TOKEN", TOKEN).output().unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    let Some((head, body)) = printed.split_once("\n\n").filter(|_| printed.starts_with("HTTP/")) else {
        return printed.trim_end().to_owned();
    };
    // A server may send headers in any order, and actix does.
    let mut lines: Vec<_> = head.lines().collect();
    lines[1..].sort_unstable();
    format!("{}\n\n{}", lines.join("\n"), body.trim_end()).trim_end().to_owned()
}

/// What the document's ids are called in this run.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// A command of the document with the ids of this run.
    fn now(&self, command: &str) -> String {
        self.0.iter().fold(command.to_owned(), |command, (documented, now)| command.replace(documented, now))
    }

    /// What was printed, with the ids and times of the document in their places.
    fn documented(&mut self, printed: &str, response: &str) -> String {
        let volatile = Regex::new(VOLATILE).unwrap();
        let mut documented =
            volatile.captures_iter(response).map(|found| (kind(&found), found[kind(&found)].to_owned()));
        let replaced = volatile.replace_all(printed, |found: &Captures<'_>| {
            let (kind, now) = (kind(found), &found[kind(found)]);
            let here = documented.next().filter(|(documented, _)| *documented == kind).map(|(_, name)| name);
            let name = if IDS.contains(&kind) { self.name(now, here) } else { here };
            found[0].replace(now, name.as_deref().unwrap_or(now))
        });
        replaced.into_owned()
    }

    /// What the document calls an id: as it did before, else as it does here, where that is not another's name.
    fn name(&mut self, now: &str, here: Option<String>) -> Option<String> {
        let known = self.0.iter().find(|(_, id)| *id == now).map(|(name, _)| name.clone());
        known.or_else(|| {
            let name = here.filter(|name| !self.0.contains_key(name))?;
            self.0.insert(name.clone(), now.to_owned());
            Some(name)
        })
    }
}

/// Which group of [`VOLATILE`] matched.
fn kind(found: &Captures<'_>) -> usize {
    (1..found.len()).find(|group| found.get(*group).is_some()).unwrap()
}

/// JSON with a line for each value, in its own order; a list of plain values stays on one.
fn indented(json: &str) -> String {
    let tokens = Regex::new(r#"\[[^\[\]{}]*\]|"(?:[^"\\]|\\.)*"|[^"]"#).unwrap();
    let line = |depth| "\n".to_owned() + &" ".repeat(depth);
    let mut text = String::new();
    let mut depth = 0;
    for token in tokens.find_iter(json).map(|token| token.as_str()) {
        match token {
            "{" | "[" => {
                depth += 2;
                text = text + token + &line(depth);
            }
            "}" | "]" => {
                depth -= 2;
                text = text + &line(depth) + token;
            }
            "," => text = text + "," + &line(depth),
            ":" => text += ": ",
            list if list.len() > 1 && list.starts_with('[') => text += &list.replace(',', ", "),
            _ => text += token,
        }
    }
    text
}
