//! A query as values: forms' encoding, of which nothing is guessed that cannot be read.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

use super::Section;
use crate::error::messages_pt;
use crate::error::validation::{Fault, Faults};

/// Reads the section from a query, or adds its faults. Of a parameter that comes more than once the last counts.
pub fn read<T: Section>(query: &str, faults: &mut Faults) -> Option<T> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    // A name that cannot be read is that of no parameter.
    let pairs = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((text(name)?, text(value)))
    });
    let (mut values, mut broken) = (Map::new(), Vec::new());
    for (name, value) in pairs.collect::<BTreeMap<_, _>>() {
        if let Some(value) = value {
            values.insert(name, value.into());
        } else {
            broken.push(name);
        }
    }
    let read = deserr::deserialize::<T, _, _>(Json::Object(values));
    if broken.is_empty()
        && let Ok(read) = read
    {
        return Some(read);
    }
    let fields = super::fields::<T>();
    broken.retain(|name| fields.contains(name));
    match read {
        Ok(read) if broken.is_empty() => Some(read),
        read => {
            let unreadable = |name: String| Fault::new("value_error", vec![name.into()], messages_pt::UNREADABLE_TEXT);
            let mut found: Faults = broken.into_iter().map(unreadable).collect();
            found.extend(read.err().unwrap_or_default());
            faults.absorb("query", found, &fields);
            None
        }
    }
}

/// A name or a value as it was meant; none where a percent sign begins no code, or the whole is not UTF-8.
fn text(encoded: &str) -> Option<String> {
    let spaced = encoded.replace('+', " ");
    let is_whole = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !spaced.split('%').skip(1).all(is_whole) {
        return None;
    }
    percent_decode_str(&spaced).decode_utf8().map(Into::into).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_or_refused_whole() {
        let cases = [
            ("", Some("")),
            ("a+b%2Bc", Some("a b+c")),
            ("%C3%A7ç", Some("çç")),
            ("%00", Some("\0")),
            ("%FF", None),
            ("%ED%A0%80", None),
            ("%C3", None),
            ("100%", None),
            ("%zz", None),
            ("%4", None),
            ("%%41", None),
        ];
        for (encoded, expected) in cases {
            assert_eq!(text(encoded).as_deref(), expected, "{encoded}");
        }
    }
}
