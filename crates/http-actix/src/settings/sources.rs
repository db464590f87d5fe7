//! Where settings come from: defaults, `aponta.toml`, `.env`, the environment, and what the command itself demands; the
//! later wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::spec::{Kind, SETTINGS, SettingSpec};
use super::{SettingFault, dotenv};

const TOML: &str = "aponta.toml";
const DOTENV: &str = ".env";
const ENVIRONMENT: &str = "environment";
const COMMAND: &str = "command";

/// How much the source of that name counts: the later, the more.
pub(super) fn rank(name: &str) -> Option<usize> {
    [TOML, DOTENV, ENVIRONMENT, COMMAND].iter().position(|source| *source == name)
}

/// The texts that settings are read from. It holds secrets in the clear, hence no `Debug`.
#[derive(Default)]
pub struct Sources {
    toml: String,
    dotenv: String,
    environment: Vec<(OsString, OsString)>,
    command: Vec<(String, String)>,
    faults: Vec<SettingFault>,
}

impl Sources {
    /// The files of that directory, as far as they exist, and the environment of this process.
    #[must_use]
    pub fn load(directory: &Path) -> Self {
        let mut faults = Vec::new();
        let mut read = |name: &str| match std::fs::read_to_string(directory.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                faults.push(SettingFault::new(name, format!("cannot be read: {error}")));
                String::new()
            }
            text => text.unwrap_or_default(),
        };
        let (toml, dotenv) = (read(TOML), read(DOTENV));
        Self { toml, dotenv, environment: std::env::vars_os().collect(), command: Vec::new(), faults }
    }

    /// With this for `aponta.toml`.
    #[cfg(test)]
    #[must_use]
    pub fn with_toml(self, text: impl Into<String>) -> Self {
        Self { toml: text.into(), ..self }
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

    /// With settings that a command insists on, whatever the operator has set: `aponta dev` runs without authentication.
    #[must_use]
    pub fn with_command<'a>(self, settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { command: settings.into_iter().map(owned).collect(), ..self }
    }

    /// All sources as one, and what is wrong with them.
    pub(super) fn merge(&self) -> (Figment, Vec<SettingFault>) {
        let mut faults = self.faults.clone();
        let defaults = SETTINGS.iter().map(|spec| (spec.name.to_owned(), spec.default.to_owned()));
        let figment = Figment::new()
            .merge(Layer::new("default", defaults))
            .merge(Layer::new(TOML, self.read_toml(&mut faults)))
            .merge(Layer::new(DOTENV, self.read_dotenv(&mut faults)))
            .merge(Layer::new(ENVIRONMENT, self.read_environment(&mut faults)))
            .merge(Layer::new(COMMAND, self.command.iter().cloned()));
        (figment, faults)
    }

    fn read_toml(&self, faults: &mut Vec<SettingFault>) -> Vec<(String, String)> {
        let table = match Toml::string(&self.toml).data() {
            Ok(mut profiles) => profiles.remove(&Profile::Default).unwrap_or_default(),
            Err(error) => {
                // Only the first line, which tells the position: the next ones quote the text, which may be a secret.
                let problem = error.to_string().lines().next().unwrap_or_default().to_owned();
                faults.push(SettingFault::new(TOML, problem));
                return Vec::new();
            }
        };
        let mut variables = Vec::new();
        for (key, value) in table {
            let name = key.to_ascii_uppercase();
            let spec = SettingSpec::fed_by(&name).filter(|_| key == name.to_ascii_lowercase());
            match spec.map(|spec| text_of(value, spec.kind)) {
                Some(Ok(text)) => variables.push((name, text)),
                Some(Err(allowed)) => faults.push(SettingFault::new(name, format!("must be {allowed} in {TOML}"))),
                None => faults.push(SettingFault::value(TOML, key, "is not the name of a setting, in lower case")),
            }
        }
        variables
    }

    fn read_dotenv(&self, faults: &mut Vec<SettingFault>) -> Vec<(String, String)> {
        let (variables, bad_lines) = dotenv::parse(&self.dotenv);
        let fault = |(number, reason)| SettingFault::new(DOTENV, format!("line {number} {reason}"));
        faults.extend(bad_lines.into_iter().map(fault));
        variables
    }

    fn read_environment(&self, faults: &mut Vec<SettingFault>) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (name, value) in &self.environment {
            let Some(name) = name.to_str().filter(|name| SettingSpec::fed_by(name).is_some()) else { continue };
            match value.to_str() {
                Some(value) => variables.push((name.to_owned(), value.to_owned())),
                None => faults.push(SettingFault::new(name, "is not UTF-8")),
            }
        }
        variables
    }
}

/// The text that the environment would hold. Text must be quoted: a bare `1e5` has lost its spelling already.
fn text_of(value: Value, kind: Kind) -> Result<String, &'static str> {
    match (kind, value) {
        (_, Value::String(_, text)) => Ok(text),
        (Kind::Text | Kind::Secret, _) => Err("a text in quotes"),
        (Kind::Number, value) => value.to_i128().map(|number| number.to_string()).ok_or("a whole number"),
        (Kind::Flag, value) => value.to_bool().map(|flag| flag.to_string()).ok_or("true or false"),
        (Kind::List, value) => {
            let texts = value.into_array().and_then(|items| items.into_iter().map(Value::into_string).collect());
            texts.map(|texts: Vec<String>| texts.join(",")).ok_or("a list of texts in quotes")
        }
    }
}

/// The settings of one source. figment's own providers guess types (`0123`, `1e5`, `[x]`), this keeps the text.
struct Layer {
    name: &'static str,
    values: BTreeMap<String, String>,
}

impl Layer {
    /// Empty values are left out: docker compose passes an empty text for a variable that is not set.
    fn new(name: &'static str, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut values: BTreeMap<_, _> = variables.into_iter().collect();
        values.retain(|name, value| !value.is_empty() && SettingSpec::fed_by(name).is_some());
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
        let (figment, faults) = sources.merge();
        assert_eq!(faults, vec![]);
        let value = figment.find_value(name).ok()?;
        let source = figment.get_metadata(value.tag())?.name.clone().into_owned();
        Some((value.into_string()?, source))
    }

    fn faults(sources: &Sources) -> Vec<String> {
        sources.merge().1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_later_source_wins_and_empty_values_are_unset() {
        let mut sources = Sources::default();
        let cases = [("", "8000", "default"), ("1", "1", "aponta.toml"), ("2", "2", ".env"), ("3", "3", "environment")];
        for (at, (value, expected, source)) in cases.into_iter().enumerate() {
            sources = match at {
                0 => sources,
                1 => sources.with_toml(format!("api_port = {value}")),
                2 => sources.with_dotenv(format!("API_PORT={value}")),
                _ => sources.with_environment([("API_PORT", value)]),
            };
            assert_eq!(found(&sources, "API_PORT"), Some((expected.to_owned(), source.to_owned())));
        }

        let sources = sources.with_environment([("API_PORT", "")]);
        assert_eq!(found(&sources, "API_PORT"), Some(("2".to_owned(), ".env".to_owned())));

        let sources = sources.with_dotenv("API_PORT=\n").with_command([("API_PORT", "4")]);
        assert_eq!(found(&sources, "API_PORT"), Some(("4".to_owned(), "command".to_owned())));
    }

    #[test]
    fn text_stays_as_it_is_written() {
        let values =
            ["12345", "0123", "true", "1e5", "[x]", "{a=1}", "\"quoted\"", "'q'", " 00 ", "a.b", "+1", "0x1F", "é"];
        for value in values {
            let sources = [
                Sources::default().with_environment([("DATABASE_PASSWORD", value)]),
                Sources::default().with_toml(format!("database_password = '''{value}'''")),
                Sources::default().with_dotenv(format!("DATABASE_PASSWORD='{}'", value.replace('\'', "\\'"))),
            ];
            for source in &sources {
                assert_eq!(found(source, "DATABASE_PASSWORD").map(|(text, _)| text).as_deref(), Some(value));
            }
        }
    }

    #[test]
    fn toml_takes_its_own_types_where_nothing_is_lost() {
        let sources = Sources::default().with_toml(
            "api_port = 9\nauth_enabled = false\ncors_origins = ['https://a', \"https://b\"]\nauth_cache_ttl = \"7\"",
        );
        let cases = [
            ("API_PORT", "9"),
            ("AUTH_ENABLED", "false"),
            ("CORS_ORIGINS", "https://a,https://b"),
            ("AUTH_CACHE_TTL", "7"),
        ];
        for (name, text) in cases {
            assert_eq!(found(&sources, name).map(|(text, _)| text).as_deref(), Some(text), "{name}");
        }
    }

    #[test]
    fn toml_of_the_wrong_type_or_name_is_a_fault_without_the_value() {
        let cases = [
            ("database_password = 1_000", "DATABASE_PASSWORD: must be a text in quotes in aponta.toml"),
            ("database_password_file = 1", "DATABASE_PASSWORD_FILE: must be a text in quotes in aponta.toml"),
            ("database_name = true", "DATABASE_NAME: must be a text in quotes in aponta.toml"),
            ("api_port = 1.5", "API_PORT: must be a whole number in aponta.toml"),
            ("api_port = true", "API_PORT: must be a whole number in aponta.toml"),
            ("api_debug = 1", "API_DEBUG: must be true or false in aponta.toml"),
            ("cors_origins = ['a', 1]", "CORS_ORIGINS: must be a list of texts in quotes in aponta.toml"),
            ("[api_port]\nx = 1", "API_PORT: must be a whole number in aponta.toml"),
            ("databse_host = 'db'", r#"aponta.toml: "databse_host" is not the name of a setting, in lower case"#),
            ("API_PORT = 1", r#"aponta.toml: "API_PORT" is not the name of a setting, in lower case"#),
            (
                "database_user_file = 'x'",
                r#"aponta.toml: "database_user_file" is not the name of a setting, in lower case"#,
            ),
            ("[default]\napi_port = 1", r#"aponta.toml: "default" is not the name of a setting, in lower case"#),
        ];
        for (toml, fault) in cases {
            assert_eq!(faults(&Sources::default().with_toml(toml)), [fault], "{toml}");
        }
    }

    #[test]
    fn text_that_cannot_be_read_is_a_fault_with_its_position_only() {
        let sources = Sources::default()
            .with_toml("api_port = 1\ndatabase_password = \"hunter2\nlog = 'x'")
            .with_dotenv("API_PORT=1\nhunter2\n");

        let faults = faults(&sources);

        assert!(faults.iter().any(|fault| fault.contains("aponta.toml: ") && fault.contains("line 2")), "{faults:?}");
        assert!(faults.contains(&".env: line 2 is not NAME=value".to_owned()), "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.contains("hunter2")), "{faults:?}");
    }

    #[cfg(unix)]
    #[test]
    fn environment_that_is_not_utf8_is_a_fault_only_where_it_matters() {
        use std::os::unix::ffi::OsStringExt as _;
        let bytes = || OsString::from_vec(vec![b'x', 0xff]);
        let sources = Sources::default().with_environment([
            (OsString::from("UNKNOWN"), bytes()),
            (bytes(), bytes()),
            (OsString::from("DATABASE_USER"), bytes()),
        ]);

        assert_eq!(faults(&sources), ["DATABASE_USER: is not UTF-8"]);
    }

    #[test]
    fn files_may_be_absent_but_not_unreadable() {
        let directory = std::env::temp_dir().join(format!("aponta-sources-{}", std::process::id()));
        std::fs::create_dir_all(directory.join(TOML)).unwrap();
        std::fs::write(directory.join(DOTENV), b"LOG=\xff").unwrap();

        let broken = Sources::load(&directory).with_environment::<&str, &str>([]);
        let absent = Sources::load(&directory.join("nothing")).with_environment::<&str, &str>([]);
        std::fs::remove_dir_all(&directory).unwrap();

        let broken = faults(&broken);
        assert!(broken.len() == 2 && broken[0].starts_with(TOML) && broken[1].starts_with(DOTENV), "{broken:?}");
        assert_eq!(faults(&absent), [""; 0]);
    }
}
