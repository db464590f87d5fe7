//! Reads settings one by one and keeps what is wrong with them, so that one start names all faults.

use std::fs::File;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::Path;

use figment::Figment;
use secrecy::SecretString;

use super::mask::{MASK, masked};
use super::spec::{SETTINGS, SettingSpec};
use super::{SettingFault, Sources, database, name, sources};

/// Far more than any secret needs, far less than a wrong file could hold.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// How a secret is given: as a text, by a source; by the file of that name, with what was read from it; or both ways at once.
enum Given {
    Text(String, String),
    File(String, Result<String, String>),
    Both,
}

pub(super) struct Reader {
    figment: Figment,
    faults: Vec<SettingFault>,
}

impl Reader {
    pub fn new(sources: &Sources) -> Self {
        let (figment, faults) = sources.merge();
        Self { figment, faults }
    }

    pub fn fault(&mut self, fault: SettingFault) {
        self.faults.push(fault);
    }

    pub fn into_faults(self) -> Vec<SettingFault> {
        self.faults
    }

    /// The text of a setting, exactly as it is written.
    pub fn text(&self, name: &str) -> Option<String> {
        Some(self.found(name)?.0)
    }

    /// A setting that is a name. A wrong one is a fault, and reading goes on with the default.
    pub fn name(&mut self, setting: &str) -> Option<String> {
        let text = self.text(setting)?;
        let Some(problem) = name::problem(&text) else { return Some(text) };
        self.fault(SettingFault::value(setting, text, problem));
        SettingSpec::find(setting).map(|spec| spec.default.to_owned()).filter(|default| !default.is_empty())
    }

    /// A setting of the form `allowed`. A wrong one is a fault, and reading goes on with the default.
    pub fn parse<T>(&mut self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).or_else(|| {
            self.fault(SettingFault::value(name, text, format!("is not {allowed}")));
            parse(SettingSpec::find(name)?.default)
        })
    }

    /// The same of a setting without a default: a wrong one is a fault and counts as unset.
    pub fn optional<T>(&mut self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let read = parse(&text);
        if read.is_none() {
            self.fault(SettingFault::value(name, text, format!("is not {allowed}")));
        }
        read
    }

    /// A whole number within the range.
    pub fn number<T: TryFrom<u32>>(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<T> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &allowed, |text| T::try_from(text.trim().parse().ok().filter(|n| range.contains(n))?).ok())
    }

    /// True or false, in the words that pydantic takes.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.parse(name, "true or false", |text| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
            "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
            _ => None,
        })
    }

    /// Texts separated by commas, each of the form `allowed`.
    pub fn list<T>(&mut self, name: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let read = |item| {
            parse(item).or_else(|| {
                self.fault(SettingFault::value(name, item, format!("is not {allowed}")));
                None
            })
        };
        items.filter_map(read).collect()
    }

    /// A secret, given directly or by a file: by the later source, if by both.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let file = format!("{name}_FILE");
        let read = match self.given(name)? {
            Given::Text(text, _) => return Some(text.into()),
            Given::File(_, read) => read,
            Given::Both => Err(format!("is set beside {name}; keep one of the two")),
        };
        read.map(SecretString::from).map_err(|problem| self.fault(SettingFault::new(file, problem))).ok()
    }

    /// How a secret is given. An empty file counts as unset, as an empty value does.
    fn given(&self, name: &str) -> Option<Given> {
        let file = self.found(&format!("{name}_FILE")).map(|(path, source)| (read_secret(&path), path, source));
        let file = file.filter(|(read, ..)| read.as_ref().map_or(true, |text| !text.is_empty()));
        match (self.found(name), file) {
            (Some((_, one)), Some((.., other))) if one == other => Some(Given::Both),
            (Some((text, source)), Some((.., other))) if sources::rank(&other) < sources::rank(&source) => {
                Some(Given::Text(text, source))
            }
            (_, Some((read, path, _))) => Some(Given::File(path, read)),
            (Some((text, source)), None) => Some(Given::Text(text, source)),
            (None, None) => None,
        }
    }

    /// `NAME=value  # source` for every setting, secrets masked.
    pub fn lines(&self) -> Vec<String> {
        SETTINGS.iter().map(|spec| self.line(spec)).collect()
    }

    fn line(&self, spec: &SettingSpec) -> String {
        let unset = || (String::new(), "default".to_owned());
        let (value, source) = if spec.secret() {
            match self.given(spec.name) {
                Some(Given::Text(url, source)) if spec.name == "DATABASE_URL" => (database::masked(&url), source),
                Some(Given::Text(_, source)) => (MASK.to_owned(), source),
                Some(Given::File(path, _)) => (MASK.to_owned(), format!("file {path}")),
                Some(Given::Both) => (MASK.to_owned(), "twice".to_owned()),
                None => unset(),
            }
        } else {
            self.found(spec.name).map_or_else(unset, |(value, source)| (masked(&value), source))
        };
        let line = format!("{}={value}  # {source}", spec.name);
        // One setting is one line, and no control character reaches the terminal.
        line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }

    /// A setting and the name of its source.
    fn found(&self, name: &str) -> Option<(String, String)> {
        let value = self.figment.find_value(name).ok()?;
        let source = self.figment.get_metadata(value.tag()).map(|metadata| metadata.name.clone().into_owned());
        Some((value.into_string()?, source.unwrap_or_default()))
    }
}

/// The text of a secret's file, as a shell reads `$(< file)`: without the newlines at its end. Other programs read the same
/// file, so what they might read differently is rejected.
fn read_secret(path: &str) -> Result<String, String> {
    // Whoever writes the secret itself where a file is meant must not find it in the log.
    let shown = if Path::new(path).is_absolute() { format!("the file {path:?}") } else { "the file".to_owned() };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes));
    let size = read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if MAX_SECRET_BYTES < size as u64 {
        return Err(format!("{shown} is larger than {MAX_SECRET_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
    match text.trim_end_matches('\n') {
        text if text.contains('\r') => {
            Err(format!("{shown} holds a carriage return, the line ending of Windows; write it anew without"))
        }
        text if text.contains('\0') => Err(format!("{shown} holds NUL")),
        text => Ok(text.to_owned()),
    }
}
