//! Settings that are names: of a schema, database, user, host or organisation.
//!
//! A quote, blank or line ending that belongs to the notation of a file would become part of the name. The service would then
//! create a new, empty schema that looks healthy.

/// Returns the reason why `text` is not a valid name.
pub(super) fn problem(text: &str) -> Option<&'static str> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '«' | '»');
    // A soft hyphen, zero-width characters, marks of direction, and a byte order mark.
    let is_invisible = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if text.contains('\r') {
        Some("has a carriage return, the line ending of Windows: write it without")
    } else if text.contains(char::is_control) {
        Some("has a control character: write it without")
    } else if text.contains(is_invisible) {
        Some("has an invisible character: type the name anew")
    } else if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        Some("begins or ends with a blank: write it without")
    } else if text.starts_with(is_quote) || text.ends_with(is_quote) {
        Some("begins or ends with a quote, which would be part of the name: write it without")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_outer_quotes_blanks_or_line_endings_is_invalid() {
        for name in ["api_aponta", "Tenant 1", "com\"aspas", "o'brien", "ação", "maria@server", "a\\b", "", "😀"] {
            assert_eq!(problem(name), None, "{name:?}");
        }
        let cases = [
            ("\"api_aponta\"", "quote"),
            ("'api_aponta'", "quote"),
            ("`a`", "quote"),
            ("“a”", "quote"),
            ("\"a", "quote"),
            ("a'", "quote"),
            (" api_aponta", "blank"),
            ("api_aponta\u{a0}", "blank"),
            (" ", "blank"),
            ("api_aponta\r", "carriage return"),
            ("api_aponta\r\n", "carriage return"),
            ("api_aponta\n", "control character"),
            ("a\tb", "control character"),
            ("a\0b", "control character"),
            ("a\u{200b}b", "invisible"),
            ("\u{feff}a", "invisible"),
        ];
        for (name, expected) in cases {
            assert!(problem(name).is_some_and(|problem| problem.contains(expected)), "{name:?}: {:?}", problem(name));
        }
    }
}
