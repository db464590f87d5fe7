//! Dependencies point inwards only.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each may use, outside of its tests.
const INWARDS: [(&str, &[&str]); 11] = [
    ("coalescer", &[]),
    ("domain", &[]),
    ("migration", &[]),
    ("adapters-azure", &["domain"]),
    ("adapters-postgres", &["coalescer", "domain", "migration", "pg-conninfo"]),
    ("adapters-redis", &["domain"]),
    ("adapters-sqlite", &["domain"]),
    ("http-api", &["domain"]),
    ("http-actix", &["adapters-azure", "adapters-postgres", "adapters-redis", "adapters-sqlite", "domain", "http-api"]),
    ("pg-conninfo", &[]),
    ("e2e", &[]),
];

/// What `domain` must not reach, directly or through another crate; a name stands for all that begin with it.
const OUTSIDE: [&str; 12] = [
    "actix",
    "apistos",
    "axum",
    "figment",
    "hyper",
    "postgres",
    "redis",
    "reqwest",
    "sea-",
    "serde_json",
    "sqlx",
    "tokio",
];

/// What only some crates may name, since it is theirs to know.
const OWNERS: [(&str, &[&str]); 7] = [
    ("actix-web", &["http-actix", "http-api"]),
    ("apistos", &["http-api"]),
    ("redis", &["adapters-redis"]),
    ("sea-orm", &["adapters-postgres", "adapters-sqlite"]),
    ("sea-orm-migration", &["adapters-postgres", "migration"]),
    ("sqlx", &["pg-conninfo"]),
    ("tokio-postgres", &[]),
];

/// The crates that each crate depends on, outside of its tests.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Every rule that `graph` breaks, in words.
fn broken_rules(graph: &Graph) -> Vec<String> {
    let ours: BTreeSet<&str> = INWARDS.iter().map(|(name, _)| *name).collect();
    let mut broken = Vec::new();
    for (name, allowed) in INWARDS {
        let uses = graph.get(name).into_iter().flatten().map(String::as_str);
        for used in uses.filter(|used| ours.contains(used) && !allowed.contains(used)) {
            broken.push(format!("{name} uses {used}"));
        }
    }
    for reached in reachable(graph, "domain") {
        if OUTSIDE.iter().any(|outside| reached.starts_with(outside)) {
            broken.push(format!("domain reaches {reached}"));
        }
    }
    for (owned, owners) in OWNERS {
        for name in &ours {
            if !owners.contains(name) && graph.get(*name).is_some_and(|uses| uses.contains(owned)) {
                broken.push(format!("{name} uses {owned}"));
            }
        }
    }
    broken
}

fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(name) = open.pop() {
        for next in graph.get(&name).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

/// What cargo resolves: with every feature of our own crates but `mocks`, which only tests switch on.
fn resolved() -> Graph {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let version = output_of(Command::new("rustc").arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // For this platform alone: the crates of the others are not here, and nothing is to be fetched.
    let metadata = output_of(
        Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked", "--offline"]).args([
            "--filter-platform",
            host,
            "--manifest-path",
            manifest,
        ]),
    );
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let texts = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<String, String> = packages.iter().map(|p| (texts(&p["id"]), texts(&p["name"]))).collect();
    let mut graph = Graph::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let uses = graph.entry(names[&texts(&node["id"])].clone()).or_default();
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                uses.insert(names[&texts(&dependency["pkg"])].clone());
            }
        }
    }
    graph
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dependencies_point_inwards() {
    let mut graph = resolved();
    // Tests of all crates are resolved together, so the mocks that they switch on appear here.
    graph.get_mut("domain").unwrap().remove("mockall");

    assert_eq!(broken_rules(&graph), Vec::<String>::new());
}

#[test]
fn an_edge_outwards_is_found_directly_and_through_others() {
    let edges = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        broken_rules(&graph)
    };

    assert_eq!(edges(&[("http-actix", "domain"), ("adapters-azure", "reqwest")]), Vec::<String>::new());
    assert_eq!(edges(&[("domain", "tokio")]), ["domain reaches tokio"]);
    assert_eq!(edges(&[("domain", "a"), ("a", "b"), ("b", "sea-orm")]), ["domain reaches sea-orm"]);
    assert_eq!(edges(&[("domain", "adapters-azure")]), ["domain uses adapters-azure"]);
    assert_eq!(edges(&[("adapters-sqlite", "adapters-postgres")]), ["adapters-sqlite uses adapters-postgres"]);
    assert_eq!(edges(&[("http-actix", "sea-orm")]), ["http-actix uses sea-orm"]);
    assert_eq!(edges(&[("adapters-azure", "actix-web")]), ["adapters-azure uses actix-web"]);
}

/// The adapters are names that only the composition root and the commands know.
#[test]
fn only_wiring_and_cli_name_adapters() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/http-actix/src"));
    let mut open = vec![root.to_owned()];
    let mut named = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if std::fs::read_to_string(&path).unwrap().contains("adapters_") {
            let file = path.strip_prefix(root).unwrap().to_owned();
            named.push(file.components().next().unwrap().as_os_str().to_owned());
        }
    }
    named.sort();
    named.dedup();

    // Telemetry names their log targets.
    assert_eq!(named, ["cli", "telemetry", "wiring"]);
}
