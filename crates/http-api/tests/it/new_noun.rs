//! The list of files for a new noun in CONTRIBUTING, checked with `projetos` as the noun.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The maximum number of files for a new noun.
const MAX_FILES: usize = 35;

/// Files about projetos that another noun does not need: the synchronisation with Azure DevOps, sample data, atividades that
/// belong to several projetos, apontamentos, timesheets and work items that look a projeto up, and a later change of the table.
const SPECIFIC_TO_PROJETOS: [&str; 25] = [
    "crates/domain/src/projeto/azure.rs",
    "crates/domain/src/projeto/directory.rs",
    "crates/domain/src/projeto/import.rs",
    "crates/domain/src/apontamento/use_cases.rs",
    "crates/domain/src/apontamento/use_cases/tests.rs",
    "crates/domain/src/atividade/mod.rs",
    "crates/domain/src/atividade/projeto_refs.rs",
    "crates/domain/src/atividade/use_cases.rs",
    "crates/domain/src/atividade/use_cases/tests.rs",
    "crates/domain/src/testing/suite/atividades_projetos.rs",
    "crates/domain/src/work_item/use_cases.rs",
    "crates/adapters-postgres/src/projeto_sync.rs",
    "crates/adapters-postgres/src/entity/atividade_projeto.rs",
    "crates/adapters-sqlite/src/schema_atividade_projetos.sql",
    "crates/http-api/src/routes/atividades/mod.rs",
    "crates/http-api/src/routes/atividades/projetos.rs",
    "crates/domain/src/timesheet/use_cases.rs",
    "crates/domain/src/timesheet/use_cases/tests.rs",
    "crates/domain/src/work_item/use_cases/projeto.rs",
    "crates/domain/src/work_item/use_cases/teams.rs",
    "crates/http-api/src/routes/integracao.rs",
    "crates/http-actix/src/cli/dev/samples.rs",
    "migration/src/m20261126_000007_order_projetos.rs",
    "migration/src/m20261127_000013_create_atividade_projetos.rs",
    "tests/it/contract/atividades_projetos.rs",
];

/// Texts by which a file of the product names the noun.
const REGISTRATIONS: [&str; 5] =
    ["ProjetoRepository", "Data<Projetos>", "Resource::Projeto", "mod projeto", "create_projetos"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns the listed files, with the names of `projetos` filled in.
fn listed() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, section) = text.split_once("## Files for a new noun\n").unwrap();
    let list = section.split("```").nth(1).unwrap();
    let lines = list.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let files = lines.map(|line| line.replace("<nouns>", "projetos").replace("<noun>", "projeto"));
    files.map(|file| file.replace("m*_create_projetos", "m20260112_000001_create_projetos")).collect()
}

/// Returns all files below `directory`, relative to the root.
fn files_below(directory: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files
}

#[test]
fn listed_files_exist_and_are_at_most_35() {
    let listed = listed();
    assert!(listed.len() <= MAX_FILES, "{} files: {listed:#?}", listed.len());
    for file in &listed {
        assert!(root().join(file).is_file(), "{file} is in CONTRIBUTING.md and does not exist");
    }
    for file in SPECIFIC_TO_PROJETOS {
        assert!(root().join(file).is_file() && !listed.contains(file), "{file}");
    }
}

#[test]
fn files_of_projetos_are_listed() {
    let listed = listed();
    let sources = ["crates", "migration/src", "tests/it"].into_iter().flat_map(files_below);
    let mut missing = Vec::new();
    for file in sources.filter(|file| !listed.contains(file) && !SPECIFIC_TO_PROJETOS.contains(&file.as_str())) {
        let is_source = file.contains("/src/")
            && file.rsplit('.').next().is_some_and(|extension| extension == "rs" || extension == "sql");
        let names_noun = || {
            let text = fs::read_to_string(root().join(&file)).unwrap();
            REGISTRATIONS.iter().any(|registration| text.contains(registration))
        };
        if file.rsplit('/').next().unwrap().contains("projeto")
            || file.contains("/projeto/")
            || (is_source && names_noun())
        {
            missing.push(file);
        }
    }
    assert!(missing.is_empty(), "not in the list of CONTRIBUTING.md: {missing:#?}");
}
