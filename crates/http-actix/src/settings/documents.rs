//! Compares the table of settings with the README, `.env.example` and the compose file.

use super::SETTINGS;

const README: &str = include_str!("../../../../README.md");
const ENV_EXAMPLE: &str = include_str!("../../../../.env.example");
const COMPOSE: &str =
    concat!(include_str!("../../../../deploy/compose.yml"), include_str!("../../../../deploy/valkey/compose.yml"));

#[test]
fn readme_lists_every_setting_with_default_and_help() {
    let rows = README.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2);
    let expected = SETTINGS.iter().map(|spec| {
        let default = if spec.default.is_empty() { String::new() } else { format!("`{}`", spec.default) };
        format!("| `{}` | {default} | {} |", spec.name, spec.help)
    });

    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn env_example_names_every_setting() {
    for spec in SETTINGS {
        let is_named =
            ENV_EXAMPLE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{}=", spec.name)));
        assert!(is_named, "{}", spec.name);
    }
}

/// The URLs of the database have no file: the compose file sets the parts, and those of the replicas have no password. The table
/// of secrets in `deploy/scripts` is compared with the compose files by the tests of the scripts.
#[test]
fn compose_file_passes_every_secret_as_a_file() {
    for spec in SETTINGS
        .iter()
        .filter(|spec| spec.is_secret && !(spec.name.starts_with("DATABASE") && spec.name.contains("_URL")))
    {
        let file = spec.name.to_ascii_lowercase();
        for line in [format!("{}_FILE: /run/secrets/{file}", spec.name), format!("file: ./secrets/{file}")] {
            assert!(COMPOSE.lines().any(|other| other.trim() == line), "{line}");
        }
    }
}
