//! JSON bodies: syntax, encoding and the maximum number of values.

use serde_json::Value as Json;

use crate::error::messages_pt;
use crate::error::validation::{ValidationError, ValidationErrors};

/// The maximum number of values in a body, nested ones included. A value takes up to 70 times its text in memory, so the
/// size of the body bounds nothing. The largest valid body, 1,000 items with all fields of a response, has half as many.
const MAX_VALUES: usize = 20_000;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Parses `body`. A byte order mark of UTF-8 is skipped, as Python's parser does.
pub fn parse(body: &[u8]) -> Result<Json, ValidationErrors> {
    let bytes = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ValidationError::new("missing", vec![], messages_pt::MISSING).into());
    }
    if MAX_VALUES < count(bytes) {
        return Err(ValidationError::new("value_error", vec![], messages_pt::too_many_values(MAX_VALUES)).into());
    }
    // serde_json bounds the depth to 128.
    match serde_json::from_slice(bytes) {
        Ok(Json::Null) => Err(ValidationError::new("missing", vec![], messages_pt::MISSING).into()),
        Ok(value) => Ok(value),
        Err(error) => {
            let syntax = if error.is_eof() { bytes.len() } else { offset(bytes, error.line(), error.column()) };
            let (offset, message) = match foreign_encoding(bytes) {
                Some(offset) => (offset, messages_pt::BODY_NOT_UTF8),
                None => (syntax, messages_pt::JSON_INVALID),
            };
            let offset = body.len() - bytes.len() + offset;
            Err(ValidationError::new("json_invalid", vec![offset.into()], message).into())
        }
    }
}

/// Returns the offset of the first byte that is not UTF-8. UTF-16 and UTF-32 are recognised by a zero byte among the first
/// two or their byte order mark: text in ASCII is valid UTF-8 even so, and JSON has no zero bytes.
fn foreign_encoding(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0, ..] => Some(0),
        [_, 0, ..] => Some(1),
        _ => std::str::from_utf8(bytes).err().map(|error| error.valid_up_to()),
    }
}

/// Returns an upper bound of the number of values: each but the outermost follows a bracket or a comma.
fn count(bytes: &[u8]) -> usize {
    let (mut values, mut is_text, mut is_escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'[' | b'{' | b',' if !is_text => values += 1,
            _ => {}
        }
    }
    values
}

/// Returns the byte offset of a line and a column, both counted from 1.
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let lines_before = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let start: usize = lines_before.map(<[u8]>::len).sum();
    (start + column.saturating_sub(1)).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(body: &[u8]) -> (&'static str, Vec<Json>) {
        let faults = parse(body).unwrap_err();
        let fault = faults.iter().next().unwrap();
        (fault.code, fault.loc.clone())
    }

    #[test]
    fn invalid_json_reports_its_byte_offset() {
        let cases: [(&[u8], usize); 7] = [
            (b"{", 1),
            (b"{\"a\": }", 6),
            (b"{\n  \"a\": 1,\n  b\n}", 14),
            (b"\"\\ud800\"", 7),
            (b"[1] x", 4),
            (b"\xEF\xBB\xBF[1] x", 7),
            (b"\xEF\xBB\xBF{", 4),
        ];
        for (bytes, expected) in cases {
            assert_eq!(error_of(bytes), ("json_invalid", vec![Json::from(expected)]), "{bytes:?}");
        }
    }

    #[test]
    fn body_in_another_encoding_is_reported_as_such() {
        let utf16 =
            |text: &str, to_bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
        let cases = [
            (b"{\"nome\": \"a\xe7\xe3o\"}".to_vec(), 11),
            (b"\xEF\xBB\xBF\"\xe7\"".to_vec(), 4),
            (utf16("{\"nome\": \"ação\"}", u16::to_le_bytes), 1),
            (utf16("{\"nome\": \"a\"}", u16::to_be_bytes), 0),
            (utf16("\u{feff}{}", u16::to_le_bytes), 0),
            (utf16("\u{feff}{}", u16::to_be_bytes), 0),
            (b"{\0\0\0}\0\0\0".to_vec(), 1),
        ];
        for (body, offset) in cases {
            let errors = parse(&body).unwrap_err();
            let expected = ValidationError::new("json_invalid", vec![offset.into()], messages_pt::BODY_NOT_UTF8);
            assert_eq!(errors, expected.into(), "{body:?}");
        }
    }

    #[test]
    fn empty_body_and_null_are_missing() {
        for bytes in [&b""[..], b" \n", b"null", b"\xEF\xBB\xBF"] {
            assert_eq!(error_of(bytes).0, "missing", "{bytes:?}");
        }
    }

    #[test]
    fn values_are_counted_outside_of_strings() {
        let cases =
            [("1", 1), ("[1,2]", 3), (r#"{"a": {"b": [1, true]}}"#, 5), (r#""[,{""#, 1), (r#"["\"[,", "\\", 1]"#, 4)];
        for (text, values) in cases {
            assert!((values..=values + 1).contains(&count(text.as_bytes())), "{text}");
        }
    }

    #[test]
    fn body_with_too_many_values_is_rejected() {
        let list = |values: usize| format!("[{}]", vec!["0"; values].join(","));
        assert!(parse(list(MAX_VALUES - 1).as_bytes()).is_ok());
        let bodies = [
            list(MAX_VALUES),
            "[{}],".repeat(MAX_VALUES),
            r#"{"a":"#.repeat(MAX_VALUES),
            "[".repeat(1024 * 1024),
            ",".repeat(1024 * 1024),
        ];
        for body in bodies {
            assert_eq!(error_of(body.as_bytes()), ("value_error", vec![]), "{}", &body[..9]);
        }
    }
}
