//! The sources of settings: defaults, `.env`, the environment, and overrides of the command. The later wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::config_error::ConfigError;
use super::dotenv;
use super::spec::{SETTINGS, SettingSpec};

const DOTENV: &str = ".env";
const ENVIRONMENT: &str = "environment";
const COMMAND: &str = "command";

/// The precedence of the source with that name.
pub(super) fn rank(name: &str) -> Option<usize> {
    [DOTENV, ENVIRONMENT, COMMAND].iter().position(|source| *source == name)
}

/// The texts of the sources. They contain secrets, hence no `Debug`.
#[derive(Default)]
pub struct Sources {
    dotenv: String,
    environment: Vec<(OsString, OsString)>,
    overrides: Vec<(String, String)>,
    errors: Vec<ConfigError>,
}

impl Sources {
    /// Reads `.env` of `directory`, if it exists, and the environment of this process.
    #[must_use]
    pub fn load(directory: &Path) -> Self {
        let (dotenv, errors) = match std::fs::read_to_string(directory.join(DOTENV)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                (String::new(), vec![ConfigError::new(DOTENV, format!("cannot be read: {error}"))])
            }
            text => (text.unwrap_or_default(), Vec::new()),
        };
        Self { dotenv, environment: std::env::vars_os().collect(), overrides: Vec::new(), errors }
    }

    /// With this for `.env`.
    #[cfg(test)]
    #[must_use]
    pub fn with_dotenv(self, text: impl Into<String>) -> Self {
        Self { dotenv: text.into(), ..self }
    }

    /// With these variables for the environment.
    #[cfg(test)]
    #[must_use]
    pub fn with_environment<N, V>(self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        Self { environment: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(), ..self }
    }

    /// With settings of the command, which win over those of the operator: `aponta dev` runs without authentication.
    #[cfg(any(test, feature = "embedded"))]
    #[must_use]
    pub fn with_overrides<'a>(self, settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { overrides: settings.into_iter().map(owned).collect(), ..self }
    }

    /// Merges the sources, and returns the errors in them.
    pub(super) fn merge(&self) -> (Figment, Vec<ConfigError>) {
        let mut errors = self.errors.clone();
        let defaults = SETTINGS.iter().map(|spec| (spec.name.to_owned(), spec.default.to_owned()));
        let figment = Figment::new()
            .merge(Layer::new("default", defaults))
            .merge(Layer::new(DOTENV, self.read_dotenv(&mut errors)))
            .merge(Layer::new(ENVIRONMENT, self.read_environment(&mut errors)))
            .merge(Layer::new(COMMAND, self.overrides.iter().cloned()));
        (figment, errors)
    }

    fn read_dotenv(&self, errors: &mut Vec<ConfigError>) -> Vec<(String, String)> {
        let (variables, bad_lines) = dotenv::parse(&self.dotenv);
        let error = |(number, reason)| ConfigError::new(DOTENV, format!("line {number} {reason}"));
        errors.extend(bad_lines.into_iter().map(error));
        variables
    }

    fn read_environment(&self, errors: &mut Vec<ConfigError>) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (name, value) in &self.environment {
            let Some(name) = name.to_str().filter(|name| SettingSpec::set_by(name).is_some()) else { continue };
            match value.to_str() {
                Some(value) => variables.push((name.to_owned(), value.to_owned())),
                None => errors.push(ConfigError::new(name, "is not UTF-8")),
            }
        }
        variables
    }
}

/// The settings of one source as text. figment's own providers guess types (`0123`, `1e5`, `[x]`).
struct Layer {
    name: &'static str,
    values: BTreeMap<String, String>,
}

impl Layer {
    /// Empty values are left out: docker compose passes an empty text for a variable that is not set.
    fn new(name: &'static str, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut values: BTreeMap<_, _> = variables.into_iter().collect();
        values.retain(|name, value| !value.is_empty() && SettingSpec::set_by(name).is_some());
        Self { name, values }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let values = self.values.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Ok(Profile::Default.collect(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &Sources, name: &str) -> Option<(String, String)> {
        let (figment, errors) = sources.merge();
        assert_eq!(errors, vec![]);
        let value = figment.find_value(name).ok()?;
        let source = figment.get_metadata(value.tag())?.name.clone().into_owned();
        Some((value.into_string()?, source))
    }

    fn errors(sources: &Sources) -> Vec<String> {
        sources.merge().1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn merge_prefers_the_later_source_and_ignores_empty_values() {
        let environment = |value| Sources::default().with_environment([("API_PORT", value)]);
        let cases = [
            (Sources::default(), "8000", "default"),
            (Sources::default().with_dotenv("API_PORT=2"), "2", ".env"),
            (environment("3").with_dotenv("API_PORT=2"), "3", "environment"),
            (environment("").with_dotenv("API_PORT=2"), "2", ".env"),
            (environment("").with_dotenv("API_PORT=\n"), "8000", "default"),
            (environment("3").with_overrides([("API_PORT", "4")]), "4", "command"),
        ];
        for (sources, value, source) in cases {
            assert_eq!(found(&sources, "API_PORT"), Some((value.to_owned(), source.to_owned())));
        }
    }

    #[test]
    fn merge_keeps_text_as_it_is_written() {
        let values =
            ["12345", "0123", "true", "1e5", "[x]", "{a=1}", "\"quoted\"", "'q'", " 00 ", "a.b", "+1", "0x1F", "é"];
        for value in values {
            let sources = [
                Sources::default().with_environment([("DATABASE_PASSWORD", value)]),
                Sources::default().with_dotenv(format!("DATABASE_PASSWORD='{}'", value.replace('\'', "\\'"))),
            ];
            for source in &sources {
                assert_eq!(found(source, "DATABASE_PASSWORD").map(|(text, _)| text).as_deref(), Some(value));
            }
        }
    }

    #[test]
    fn dotenv_with_a_bad_line_is_an_error_with_its_number_only() {
        let sources = Sources::default().with_dotenv("API_PORT=1\nhunter2\n");

        assert_eq!(errors(&sources), [".env: line 2 is not NAME=value"]);
    }

    #[cfg(unix)]
    #[test]
    fn environment_not_in_utf8_is_an_error_for_settings_only() {
        use std::os::unix::ffi::OsStringExt as _;
        let bytes = || OsString::from_vec(vec![b'x', 0xff]);
        let sources = Sources::default().with_environment([
            (OsString::from("UNKNOWN"), bytes()),
            (bytes(), bytes()),
            (OsString::from("DATABASE_USER"), bytes()),
        ]);

        assert_eq!(errors(&sources), ["DATABASE_USER: is not UTF-8"]);
    }

    #[test]
    fn dotenv_may_be_absent_but_not_unreadable() {
        let directory = std::env::temp_dir().join(format!("aponta-sources-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(DOTENV), b"LOG=\xff").unwrap();

        let broken = Sources::load(&directory).with_environment::<&str, &str>([]);
        let absent = Sources::load(&directory.join("nothing")).with_environment::<&str, &str>([]);
        std::fs::remove_dir_all(&directory).unwrap();

        let broken = errors(&broken);
        assert!(broken.len() == 1 && broken[0].starts_with(DOTENV), "{broken:?}");
        assert_eq!(errors(&absent), [""; 0]);
    }
}
