//! What is wrong with a setting, told to the operator: English, one line each, all of them at once.

use std::fmt;

use super::mask::masked;

/// One wrong setting. `Display` names the variable, the value unless it is secret, and what is allowed:
/// `API_PORT: "99999" is not a port (0..=65535)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    name: String,
    value: Option<String>,
    problem: String,
}

impl SettingFault {
    /// A setting whose value is not shown, because there is none or because it is a secret.
    pub fn new(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, problem: problem.into() }
    }

    /// A setting with the value that is wrong, as far as it may be shown; never for a secret.
    pub fn value(name: impl Into<String>, value: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(masked(&value.into())), problem: problem.into() }
    }

    /// The setting that this is about, whether it was given directly or by its file.
    #[must_use]
    pub fn setting(&self) -> &str {
        self.name.strip_suffix("_FILE").unwrap_or(&self.name)
    }
}

impl fmt::Display for SettingFault {
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
pub struct SettingFaults(Vec<SettingFault>);

impl SettingFaults {
    /// The faults, in the order in which they were found.
    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &SettingFault> {
        self.0.iter()
    }
}

impl From<Vec<SettingFault>> for SettingFaults {
    fn from(faults: Vec<SettingFault>) -> Self {
        Self(faults)
    }
}

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong settings:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_names_every_fault() {
        let faults = SettingFaults::from(vec![
            SettingFault::value("API_PORT", "99999", "is not a port (0..=65535)"),
            SettingFault::new("DATABASE_PASSWORD", "is set twice"),
        ]);

        assert_eq!(
            faults.to_string(),
            "wrong settings:\n  API_PORT: \"99999\" is not a port (0..=65535)\n  DATABASE_PASSWORD: is set twice"
        );
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        let fault = SettingFault::value("LOG", "a\u{1b}[2J\nb", "is wrong");

        assert_eq!(fault.to_string(), r#"LOG: "a\u{1b}[2J\nb" is wrong"#);
    }
}
