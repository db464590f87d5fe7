//! Rules for texts.

use unicode_normalization::UnicodeNormalization;

use crate::Violation;

/// The largest length of a name in Unicode scalar values, the unit of `varchar(255)`.
const NOME_MAX: usize = 255;

/// Parses a new name: the rules of [`stored_nome`], and no control characters.
pub(crate) fn parse_nome(text: String) -> Result<String, Violation> {
    let nome = stored_nome(text)?;
    if has_control(&nome) { Err(Violation::ControlCharacter) } else { Ok(nome) }
}

/// Returns whether `text` has a control character (Unicode category Cc) other than tabs and line breaks. Most take six
/// bytes in JSON, and terminals execute them.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// Removes control characters other than tabs and line breaks. For texts of other systems, which are not rejected.
#[must_use]
pub fn strip_control_characters(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')).collect()
}

/// Parses a name: 1..=255 characters without surrounding white space, no NUL. Text without surrounding white space is
/// not copied, because a list reads two names per row.
pub(crate) fn stored_nome(text: String) -> Result<String, Violation> {
    let trimmed = text.trim();
    match trimmed.len() {
        0 => Err(Violation::TooShort { min: 1 }),
        // Characters are counted only if the bytes exceed the limit.
        n if NOME_MAX < n && NOME_MAX < trimmed.chars().count() => Err(Violation::TooLong { max: NOME_MAX }),
        _ if trimmed.contains('\0') => Err(Violation::ContainsNul),
        _ if trimmed.len() == text.len() => Ok(text),
        _ => Ok(trimmed.to_owned()),
    }
}

/// Returns `text` without case and accents, for search and order: «Ação» and «acao» are equal. PostgreSQL computes the
/// same in the function `sem_acentos`.
#[must_use]
pub fn search_key(text: &str) -> String {
    text.nfd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase).map(fold_final_sigma).collect()
}

/// Returns whether `c` is in a block of combining diacritical marks. Vowel signs, points and voicing marks of other
/// scripts are no accents: without them the text is another word.
const fn is_accent(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}

/// The sigma at the end of a word is the same letter as within it.
const fn fold_final_sigma(c: char) -> char {
    if c == 'ς' { 'σ' } else { c }
}

/// A description: at most 64 KiB of UTF-8, no NUL, stored exactly as sent. A new one has no control characters except
/// tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descricao(String);

impl Descricao {
    /// The largest size in bytes of UTF-8.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Parses a new description.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: String) -> Result<Self, Violation> {
        let descricao = Self::from_stored(text)?;
        if has_control(&descricao.0) { Err(Violation::ControlCharacter) } else { Ok(descricao) }
    }

    /// Parses a description that was stored, possibly before control characters were rejected.
    ///
    /// # Errors
    /// [`Violation::TooManyBytes`] above [`Self::MAX_BYTES`], [`Violation::ContainsNul`].
    pub fn from_stored(text: String) -> Result<Self, Violation> {
        match text.len() {
            n if Self::MAX_BYTES < n => Err(Violation::TooManyBytes { max: Self::MAX_BYTES }),
            _ if text.contains('\0') => Err(Violation::ContainsNul),
            _ => Ok(Self(text)),
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_nome_trims_and_counts_characters() {
        let cases = [
            ("  Revisão  ", Ok("Revisão".to_owned())),
            ("", Err(Violation::TooShort { min: 1 })),
            (" \t\n\u{3000}", Err(Violation::TooShort { min: 1 })),
            (&"é".repeat(255), Ok("é".repeat(255))),
            (&format!("  {}  ", "🦀".repeat(255)), Ok("🦀".repeat(255))),
            (&"a".repeat(256), Err(Violation::TooLong { max: 255 })),
            ("a\0b", Err(Violation::ContainsNul)),
            ("linha\num\ttab\r", Ok("linha\num\ttab".to_owned())),
            ("a\u{1b}[31mb", Err(Violation::ControlCharacter)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_nome(text.to_owned()), expected, "{text:?}");
        }
    }

    #[test]
    fn control_characters_are_rejected_only_in_new_texts() {
        for control in ('\u{1}'..='\u{9f}').filter(|c| c.is_control() && !['\t', '\n', '\r'].contains(c)) {
            let text = format!("a{control}b");
            assert_eq!(parse_nome(text.clone()), Err(Violation::ControlCharacter), "{text:?}");
            assert_eq!(Descricao::parse(text.clone()), Err(Violation::ControlCharacter), "{text:?}");
            assert_eq!(stored_nome(text.clone()), Ok(text.clone()));
            assert_eq!(strip_control_characters(&text), "ab");
            assert_eq!(Descricao::from_stored(text.clone()).unwrap().into_string(), text);
        }
        for text in ["a\tb\r\nc", "\u{a0}\u{2028}\u{202e}🦀"] {
            assert!(Descricao::parse(text.to_owned()).is_ok(), "{text:?}");
            assert_eq!(strip_control_characters(text), text);
        }
    }

    #[test]
    fn search_key_drops_case_and_accents() {
        assert_eq!(search_key("AÇÃO Única nº 3"), "acao unica nº 3");
    }

    #[test]
    fn descricao_above_64_kib_is_rejected() {
        assert_eq!(Descricao::parse("  duas\nlinhas ".into()).unwrap().as_str(), "  duas\nlinhas ");
        assert_eq!(Descricao::parse(String::new()).unwrap().into_string(), "");
        assert!(Descricao::parse("é".repeat(32 * 1024)).is_ok());
        let too_large = Descricao::parse("é".repeat(32 * 1024) + "a");
        assert_eq!(too_large, Err(Violation::TooManyBytes { max: 65_536 }));
        assert_eq!(Descricao::parse("a\0".into()), Err(Violation::ContainsNul));
    }
}
