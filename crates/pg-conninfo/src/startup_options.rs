//! The parameter `options`: command-line options for the server process, as in `options=-c statement_timeout=5s`.

use crate::InvalidUrl;

/// Checks `options` and returns it unchanged, because Neon and Supabase read their own words in it: `endpoint=ep-…`.
pub(crate) fn parse(text: String) -> Result<String, InvalidUrl> {
    let mut words = split(&text)?.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") if word == "-c" => words.next().ok_or(InvalidUrl::Options)?,
            Some(setting) => setting.to_owned(),
            None if is_routing(&word) => continue,
            None => return Err(InvalidUrl::Options),
        };
        let (name, _) = setting.split_once('=').ok_or(InvalidUrl::Options)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            return Err(InvalidUrl::Options);
        }
        // The server reads - as _, and names in any case.
        if name.replace('-', "_").eq_ignore_ascii_case("search_path") {
            return Err(InvalidUrl::SearchPath);
        }
    }
    Ok(text)
}

/// Whether a proxy reads the word, to find the server: `endpoint` and `project` Neon's, `reference` Supabase's.
fn is_routing(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| matches!(name, "endpoint" | "project" | "reference"))
}

/// The words, as the server splits them: at white space, and a backslash makes the next character an ordinary one.
fn split(text: &str) -> Result<Vec<String>, InvalidUrl> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => word.push(chars.next().ok_or(InvalidUrl::Options)?),
            // A vertical tab is white space in C.
            c if c.is_ascii_whitespace() || c == '\u{b}' => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_options_are_checked_word_by_word() {
        let accepted = [
            "",
            "-c geqo=off",
            "-cgeqo=off --statement-timeout=5s",
            "-c role=a\\ b  -c  myapp.user=x=y",
            "endpoint=ep-x-123",
            "project=ep-x -c geqo=off",
            "reference=abc",
            "-c\u{b}geqo=off",
        ];
        for text in accepted {
            assert_eq!(parse(text.to_owned()).as_deref(), Ok(text), "{text}");
        }
        let cases = [
            ("-c search_path=x", InvalidUrl::SearchPath),
            ("-csearch_path=x", InvalidUrl::SearchPath),
            ("-c geqo=off --Search-Path=x", InvalidUrl::SearchPath),
            ("-c sea\\rch_path=x", InvalidUrl::SearchPath),
            ("-c", InvalidUrl::Options),
            ("-c geqo", InvalidUrl::Options),
            ("-c =x", InvalidUrl::Options),
            ("--=x", InvalidUrl::Options),
            ("-c geqo=off -d 5", InvalidUrl::Options),
            ("search_path=x", InvalidUrl::Options),
            ("segredo", InvalidUrl::Options),
            ("-c geqo=off\\", InvalidUrl::Options),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.to_owned()), Err(expected), "{text}");
        }
    }
}
