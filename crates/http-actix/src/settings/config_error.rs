//! Errors of settings, for the operator: English, one line each, all at once.

use std::fmt;

use super::mask::masked;

/// One wrong setting. `Display` names the variable, the value unless it is secret, and what is allowed:
/// `API_PORT: "99999" is not a port (0..=65535)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    name: String,
    value: Option<String>,
    problem: String,
}

impl ConfigError {
    /// An error without the value, because the setting has none or is a secret.
    pub fn new(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, problem: problem.into() }
    }

    /// An error with the wrong value, its credentials masked. Never for a secret.
    pub fn value(name: impl Into<String>, value: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(masked(&value.into())), problem: problem.into() }
    }

    /// The name of the setting, without the suffix of its file.
    #[must_use]
    pub fn setting(&self) -> &str {
        self.name.strip_suffix("_FILE").unwrap_or(&self.name)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, problem } = self;
        match value {
            // `{:?}`, so that no control character of a value reaches the operator's terminal.
            Some(value) => write!(f, "{name}: {value:?} {problem}"),
            None => write!(f, "{name}: {problem}"),
        }
    }
}

/// All wrong settings of one start; `Display` is the one message that the start stops with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors, in the order in which they were found.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong settings:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_of_several_errors_names_every_setting() {
        let errors = ConfigErrors::from(vec![
            ConfigError::value("API_PORT", "99999", "is not a port (0..=65535)"),
            ConfigError::new("DATABASE_PASSWORD", "is set twice"),
        ]);

        assert_eq!(
            errors.to_string(),
            "wrong settings:\n  API_PORT: \"99999\" is not a port (0..=65535)\n  DATABASE_PASSWORD: is set twice"
        );
    }

    #[test]
    fn display_of_control_characters_escapes_them() {
        let error = ConfigError::value("LOG", "a\u{1b}[2J\nb", "is wrong");

        assert_eq!(error.to_string(), r#"LOG: "a\u{1b}[2J\nb" is wrong"#);
    }
}
