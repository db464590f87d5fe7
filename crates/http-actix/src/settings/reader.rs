//! Reads settings one by one and collects their errors, so that one start names them all.

use std::fs::File;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::Path;

use figment::Figment;
use secrecy::SecretString;

use super::config_error::ConfigError;
use super::mask::{MASK, masked, masked_database_url};
use super::sources::Sources;
use super::spec::{SETTINGS, SettingSpec};
use super::{name, sources};

/// More than any secret needs; bounds the read of a wrong file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where a secret comes from: the text and its source; the file and its content; or both, which is an error.
enum SecretSource {
    Text(String, String),
    File(String, Result<String, String>),
    Both,
}

pub(super) struct Reader {
    figment: Figment,
    errors: Vec<ConfigError>,
}

impl Reader {
    pub fn new(sources: &Sources) -> Self {
        let (figment, errors) = sources.merge();
        Self { figment, errors }
    }

    pub fn push_error(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    pub fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    /// The text of a setting, exactly as it is written.
    pub fn text(&self, name: &str) -> Option<String> {
        Some(self.lookup(name)?.0)
    }

    /// Reads a name. If it is invalid, records an error and returns the default.
    pub fn name(&mut self, setting: &str) -> Option<String> {
        let text = self.text(setting)?;
        let Some(problem) = name::problem(&text) else { return Some(text) };
        self.push_error(ConfigError::value(setting, text, problem));
        SettingSpec::find(setting).map(|spec| spec.default.to_owned()).filter(|default| !default.is_empty())
    }

    /// Reads a setting of the form `allowed`. If it is invalid, records an error and returns the default.
    pub fn parse<T>(&mut self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).or_else(|| {
            self.push_error(ConfigError::value(name, text, format!("is not {allowed}")));
            parse(SettingSpec::find(name)?.default)
        })
    }

    /// Reads a setting without a default. If it is invalid, records an error and returns none.
    pub fn optional<T>(&mut self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let read = parse(&text);
        if read.is_none() {
            self.push_error(ConfigError::value(name, text, format!("is not {allowed}")));
        }
        read
    }

    /// Reads a whole number within `range`.
    pub fn number<T: TryFrom<u32>>(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<T> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &allowed, |text| T::try_from(text.trim().parse().ok().filter(|n| range.contains(n))?).ok())
    }

    /// Reads true or false, in the spellings that pydantic accepts.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.parse(name, "true or false", |text| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
            "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
            _ => None,
        })
    }

    /// Reads a list separated by commas, each item of the form `allowed`.
    pub fn list<T>(&mut self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let read = |item| {
            parse(item).or_else(|| {
                self.push_error(ConfigError::value(name, item, format!("is not {allowed}")));
                None
            })
        };
        items.filter_map(read).collect()
    }

    /// Reads a secret from its own variable or from its file. The later source wins.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let file = format!("{name}_FILE");
        let read = match self.secret_source(name)? {
            SecretSource::Text(text, _) => return Some(text.into()),
            SecretSource::File(_, read) => read,
            SecretSource::Both => Err(format!("is set beside {name}; keep one of the two")),
        };
        read.map(SecretString::from).map_err(|problem| self.push_error(ConfigError::new(file, problem))).ok()
    }

    /// Finds where a secret comes from. An empty file counts as unset, as an empty value does.
    fn secret_source(&self, name: &str) -> Option<SecretSource> {
        let file = self.lookup(&format!("{name}_FILE")).map(|(path, source)| (read_secret(&path), path, source));
        let file = file.filter(|(read, ..)| read.as_ref().map_or(true, |text| !text.is_empty()));
        match (self.lookup(name), file) {
            (Some((_, one)), Some((.., other))) if one == other => Some(SecretSource::Both),
            (Some((text, source)), Some((.., other))) if sources::rank(&other) < sources::rank(&source) => {
                Some(SecretSource::Text(text, source))
            }
            (_, Some((read, path, _))) => Some(SecretSource::File(path, read)),
            (Some((text, source)), None) => Some(SecretSource::Text(text, source)),
            (None, None) => None,
        }
    }

    /// `NAME=value  # source` for every setting, secrets masked.
    pub fn lines(&self) -> Vec<String> {
        SETTINGS.iter().map(|spec| self.line(spec)).collect()
    }

    fn line(&self, spec: &SettingSpec) -> String {
        let unset = || (String::new(), "default".to_owned());
        let (value, source) = if spec.is_secret {
            match self.secret_source(spec.name) {
                Some(SecretSource::Text(url, source)) if spec.name.ends_with("_URL") => {
                    (masked_database_url(&url), source)
                }
                Some(SecretSource::Text(_, source)) => (MASK.to_owned(), source),
                Some(SecretSource::File(path, _)) => (MASK.to_owned(), format!("file {path}")),
                Some(SecretSource::Both) => (MASK.to_owned(), "twice".to_owned()),
                None => unset(),
            }
        } else {
            self.lookup(spec.name).map_or_else(unset, |(value, source)| (masked(&value), source))
        };
        let line = format!("{}={value}  # {source}", spec.name);
        // One setting is one line, and no control character reaches the terminal.
        line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }

    /// Returns a setting and the name of its source.
    fn lookup(&self, name: &str) -> Option<(String, String)> {
        let value = self.figment.find_value(name).ok()?;
        let source = self.figment.get_metadata(value.tag()).map(|metadata| metadata.name.clone().into_owned());
        Some((value.into_string()?, source.unwrap_or_default()))
    }
}

/// Reads the file of a secret as a shell reads `$(< file)`: without the newlines at its end. Other programs read the same
/// file, so carriage returns and NUL, which they may treat differently, are rejected.
fn read_secret(path: &str) -> Result<String, String> {
    // A value that is no absolute path may be the secret itself.
    let label = if Path::new(path).is_absolute() { format!("the file {path:?}") } else { "the file".to_owned() };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes));
    let size = read.map_err(|error| format!("{label} cannot be read: {error}"))?;
    if MAX_SECRET_BYTES < size as u64 {
        return Err(format!("{label} is larger than {MAX_SECRET_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{label} is not UTF-8"))?;
    match text.trim_end_matches('\n') {
        text if text.contains('\r') => {
            Err(format!("{label} holds a carriage return, the line ending of Windows; write it anew without"))
        }
        text if text.contains('\0') => Err(format!("{label} holds NUL")),
        text => Ok(text.to_owned()),
    }
}
