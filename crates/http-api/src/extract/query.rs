//! Query strings: strict decoding of `application/x-www-form-urlencoded`.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

use super::part::{RequestPart, fields};
use crate::error::messages_pt;
use crate::error::validation::{ValidationError, ValidationErrors};

/// Parses a query, or appends its errors. The last value of a repeated parameter counts.
pub fn parse<T: RequestPart>(query: &str, errors: &mut ValidationErrors) -> Option<T> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    // A malformed name is an unknown parameter.
    let pairs = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, decode(value)))
    });
    let (mut values, mut malformed) = (Map::new(), Vec::new());
    for (name, value) in pairs.collect::<BTreeMap<_, _>>() {
        if let Some(value) = value {
            values.insert(name, value.into());
        } else {
            malformed.push(name);
        }
    }
    let read = deserr::deserialize::<T, _, _>(Json::Object(values));
    if malformed.is_empty()
        && let Ok(read) = read
    {
        return Some(read);
    }
    let fields = fields::<T>();
    malformed.retain(|name| fields.contains(name));
    match read {
        Ok(read) if malformed.is_empty() => Some(read),
        read => {
            let unreadable =
                |name: String| ValidationError::new("value_error", vec![name.into()], messages_pt::UNREADABLE_TEXT);
            let mut found: ValidationErrors = malformed.into_iter().map(unreadable).collect();
            found.extend(read.err().unwrap_or_default());
            errors.extend_prefixed("query", found, &fields);
            None
        }
    }
}

/// Decodes a name or a value. Returns `None` for malformed percent-encoding and bytes that are not UTF-8.
fn decode(encoded: &str) -> Option<String> {
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
    fn text_with_malformed_encoding_is_rejected() {
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
            assert_eq!(decode(encoded).as_deref(), expected, "{encoded}");
        }
    }
}
