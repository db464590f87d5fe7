//! A body as JSON: what it may hold, and where it is broken.

use serde_json::Value as Json;

use crate::error::messages_pt;
use crate::error::validation::{Fault, Faults};

/// How many values a body may have, those within others included. One takes up to 70 times its text in memory, so the
/// size of a body bounds nothing; the largest body that makes sense, 1000 items with all fields of an answer, has half
/// of these.
const MAX_VALUES: usize = 20_000;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The JSON value in `body`; a byte order mark in front of it is passed over, as Python's parser does.
pub fn parse(body: &[u8]) -> Result<Json, Faults> {
    let bytes = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Faults::one(Fault::new("missing", vec![], messages_pt::MISSING)));
    }
    if MAX_VALUES < count(bytes) {
        return Err(Faults::one(Fault::new("value_error", vec![], messages_pt::too_many_values(MAX_VALUES))));
    }
    // The depth is bounded by the parser, to 128.
    match serde_json::from_slice(bytes) {
        Ok(Json::Null) => Err(Faults::one(Fault::new("missing", vec![], messages_pt::MISSING))),
        Ok(value) => Ok(value),
        Err(error) => {
            let offset = if error.is_eof() { bytes.len() } else { offset(bytes, error.line(), error.column()) };
            let offset = body.len() - bytes.len() + offset;
            Err(Faults::one(Fault::new("json_invalid", vec![offset.into()], messages_pt::JSON_INVALID)))
        }
    }
}

/// How many values the text has at most: each but the outermost comes after a bracket or a comma.
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

/// The byte offset of a line and column, both counted from 1 as `serde_json` does.
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let lines_before = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let start: usize = lines_before.map(<[u8]>::len).sum();
    (start + column.saturating_sub(1)).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &[u8]) -> (&'static str, Vec<Json>) {
        let faults = parse(body).unwrap_err();
        let fault = faults.iter().next().unwrap();
        (fault.code, fault.loc.clone())
    }

    #[test]
    fn invalid_json_is_told_by_its_byte_offset() {
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
            assert_eq!(fault(bytes), ("json_invalid", vec![Json::from(expected)]), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_and_null_are_missing() {
        for bytes in [&b""[..], b" \n", b"null", b"\xEF\xBB\xBF"] {
            assert_eq!(fault(bytes).0, "missing", "{bytes:?}");
        }
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        let cases =
            [("1", 1), ("[1,2]", 3), (r#"{"a": {"b": [1, true]}}"#, 5), (r#""[,{""#, 1), (r#"["\"[,", "\\", 1]"#, 4)];
        for (text, values) in cases {
            assert!((values..=values + 1).contains(&count(text.as_bytes())), "{text}");
        }
    }

    #[test]
    fn more_values_than_any_request_has_are_refused() {
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
            assert_eq!(fault(body.as_bytes()), ("value_error", vec![]), "{}", &body[..9]);
        }
    }
}
