//! Reads settings one by one and keeps what is wrong with them, so that one start names all faults.

use std::fs::File;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::Path;

use figment::Figment;
use secrecy::SecretString;

use super::spec::{SETTINGS, SettingSpec};
use super::{SettingFault, Sources, database};

/// What stands for a secret wherever settings are shown.
pub(super) const MASK: &str = "********";

/// Far more than any secret needs, far less than a wrong file could hold.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

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

    /// A secret, given directly or by a file.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let file = format!("{name}_FILE");
        let read = match (self.text(name), self.text(&file)) {
            (given, None) => return given.map(SecretString::from),
            (None, Some(path)) => read_secret(&path),
            (Some(_), Some(_)) => Err(format!("is set beside {name}; keep one of the two")),
        };
        read.map(SecretString::from).map_err(|problem| self.fault(SettingFault::new(file, problem))).ok()
    }

    /// `NAME=value  # source` for every setting, secrets masked.
    pub fn lines(&self) -> Vec<String> {
        SETTINGS.iter().map(|spec| self.line(spec)).collect()
    }

    fn line(&self, spec: &SettingSpec) -> String {
        let file = spec.secret().then(|| self.found(&format!("{}_FILE", spec.name))).flatten();
        let (value, source) = match (file, self.found(spec.name)) {
            (Some((path, _)), _) => (MASK.to_owned(), format!("file {path}")),
            (None, Some((url, source))) if spec.name == "DATABASE_URL" => (database::masked(&url), source),
            (None, Some((_, source))) if spec.secret() => (MASK.to_owned(), source),
            (None, found) => found.unwrap_or_else(|| (String::new(), "default".to_owned())),
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

/// The text of a secret's file without the newline that editors put at its end.
fn read_secret(path: &str) -> Result<String, String> {
    // Whoever writes the secret itself where a file is meant must not find it in the log.
    let shown = if Path::new(path).is_absolute() { format!("the file {path:?}") } else { "the file".to_owned() };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes));
    let size = read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if MAX_SECRET_BYTES < size as u64 {
        return Err(format!("{shown} is larger than {MAX_SECRET_BYTES} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
    let trimmed = text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(trimmed);
    if text.is_empty() { Err(format!("{shown} is empty")) } else { Ok(text) }
}
