//! The README and the example of an environment list every setting.

use super::SETTINGS;

const README: &str = include_str!("../../../../README.md");
const ENV_EXAMPLE: &str = include_str!("../../../../.env.example");

#[test]
fn the_readme_lists_every_setting_as_it_is() {
    let rows = README.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2);
    let expected = SETTINGS.iter().map(|spec| {
        let default = if spec.default.is_empty() { String::new() } else { format!("`{}`", spec.default) };
        format!("| `{}` | {default} | {} |", spec.name, spec.help)
    });

    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn the_example_of_an_environment_names_every_setting() {
    for spec in SETTINGS {
        let is_named =
            ENV_EXAMPLE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{}=", spec.name)));
        assert!(is_named, "{}", spec.name);
    }
}
