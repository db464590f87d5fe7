//! Removes values from the text of an error.

/// The longest text, in bytes. Names and codes come first in the errors of this service.
const MAX_BYTES: usize = 500;
/// A word of so many characters may be a token, a key or an id.
const MIN_TOKEN_CHARS: usize = 32;
const MASK: &str = "[…]";
/// The quotes by which PostgreSQL and others mark values in their messages, in several languages.
const QUOTES: &[char] = &['"', '“', '”', '„', '«', '»', '`'];

/// Returns `text` without what is in quotes, addresses, e-mail addresses and long words. The log has the whole text.
pub(super) fn scrub(text: &str) -> String {
    let mut scrubbed = String::new();
    for word in without_quoted(text).split_whitespace() {
        let is_value = word.contains(['@', '=']) || word.contains("://") || MIN_TOKEN_CHARS <= word.chars().count();
        let word = if is_value { MASK } else { word };
        if MAX_BYTES < scrubbed.len() + word.len() {
            scrubbed.push('…');
            break;
        }
        if !scrubbed.is_empty() {
            scrubbed.push(' ');
        }
        scrubbed.push_str(word);
    }
    scrubbed
}

/// Replaces each quoted part. Without a closing quote, that is the rest of the text.
fn without_quoted(text: &str) -> String {
    let (mut kept, mut last, mut rest) = (String::new(), ' ', text);
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        // An apostrophe within a word is no quote.
        let is_apostrophe_quote = c == '\'' && !last.is_alphanumeric();
        if QUOTES.contains(&c) || is_apostrophe_quote {
            let closing: &[char] = if c == '\'' { &['\''] } else { QUOTES };
            kept.push_str(MASK);
            rest = rest.split_once(closing).map_or("", |(_, after)| after);
        } else {
            kept.push(c);
        }
        last = c;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrub_removes_values_and_keeps_names_and_codes() {
        let cases = [
            ("", ""),
            ("internal error: broken", "internal error: broken"),
            ("relation \"atividades\" does not exist (SQLSTATE 42P01)", "relation […] does not exist (SQLSTATE 42P01)"),
            ("invalid input syntax for type uuid: \"seg redo\"", "invalid input syntax for type uuid: […]"),
            ("valor « segredo » inválido", "valor […] inválido"),
            ("valor 'segredo' e o'clock fica", "valor […] e o'clock fica"),
            ("open \"segredo ends never", "open […]"),
            ("sent by maria@exemplo.br to x", "sent by […] to x"),
            ("postgresql://u:segredo@h/d refused", "[…] refused"),
            ("password=segredo host", "[…] host"),
            ("token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpX ends", "token […] ends"),
            ("id 0198f7a2-0000-7000-8000-000000000000", "id […]"),
        ];
        for (text, expected) in cases {
            assert_eq!(scrub(text), expected, "{text}");
        }
    }

    #[test]
    fn scrub_bounds_the_text() {
        let text = scrub(&"ação ".repeat(100_000));
        assert!(text.len() <= MAX_BYTES + '…'.len_utf8() && text.ends_with('…'), "{}", text.len());
    }
}
