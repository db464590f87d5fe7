//! Rules that more than one text shares.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::Violation;

/// The longest name of an atividade or a projeto, in Unicode scalar values: that is what `varchar(255)` counts.
const NOME_MAX: usize = 255;

/// Trims `text` and returns it when it is a name that may be stored: the rules of [`stored_nome`], and no control
/// character.
pub(crate) fn parse_nome(text: String) -> Result<String, Violation> {
    let nome = stored_nome(text)?;
    if has_control(&nome) { Err(Violation::ControlCharacter) } else { Ok(nome) }
}

/// Whether `text` has a control character (Unicode's category Cc) other than a tab or a line break. JSON takes six bytes
/// for most of them, and a terminal acts on them.
fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// `text` without control characters other than line breaks and tabs: for texts of others, which must not be lost.
#[must_use]
pub fn without_control(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')).collect()
}

/// Trims `text` and returns it when it is a name: 1..=255 characters, no NUL. Copied only when there is something to trim:
/// a list reads two names for each of its rows.
pub(crate) fn stored_nome(text: String) -> Result<String, Violation> {
    let trimmed = text.trim();
    match trimmed.len() {
        0 => Err(Violation::TooShort { min: 1 }),
        // Characters are counted only where they can be too many.
        n if NOME_MAX < n && NOME_MAX < trimmed.chars().count() => Err(Violation::TooLong { max: NOME_MAX }),
        _ if trimmed.contains('\0') => Err(Violation::ContainsNul),
        _ if trimmed.len() == text.len() => Ok(text),
        _ => Ok(trimmed.to_owned()),
    }
}

/// `text` without case and accents, for comparing as a reader does: «Ação» and «acao» are the same.
#[must_use]
pub fn folded(text: &str) -> String {
    text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// A free text that says more than a name: at most 64 KiB of UTF-8, no NUL, kept as it was written. A new one has no
/// control characters but tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descricao(String);

impl Descricao {
    /// The largest size in bytes of UTF-8.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Returns `text` as a new description.
    ///
    /// # Errors
    /// Those of [`Self::from_stored`], [`Violation::ControlCharacter`].
    pub fn parse(text: String) -> Result<Self, Violation> {
        let descricao = Self::from_stored(text)?;
        if has_control(&descricao.0) { Err(Violation::ControlCharacter) } else { Ok(descricao) }
    }

    /// Returns `text`, which was stored, as a description. It may be older than the rule about control characters.
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nome_is_trimmed_and_counted_in_characters() {
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
    fn control_characters_are_rejected_in_new_texts_and_read_from_old_ones() {
        for control in ('\u{1}'..='\u{9f}').filter(|c| c.is_control() && !['\t', '\n', '\r'].contains(c)) {
            let text = format!("a{control}b");
            assert_eq!(parse_nome(text.clone()), Err(Violation::ControlCharacter), "{text:?}");
            assert_eq!(Descricao::parse(text.clone()), Err(Violation::ControlCharacter), "{text:?}");
            assert_eq!(stored_nome(text.clone()), Ok(text.clone()));
            assert_eq!(without_control(&text), "ab");
            assert_eq!(Descricao::from_stored(text.clone()).unwrap().into_string(), text);
        }
        for text in ["a\tb\r\nc", "\u{a0}\u{2028}\u{202e}🦀"] {
            assert!(Descricao::parse(text.to_owned()).is_ok(), "{text:?}");
            assert_eq!(without_control(text), text);
        }
    }

    #[test]
    fn folded_drops_case_and_accents() {
        assert_eq!(folded("AÇÃO Única nº 3"), "acao unica nº 3");
    }

    #[test]
    fn descricao_is_kept_as_written_up_to_64_kib() {
        assert_eq!(Descricao::parse("  duas\nlinhas ".into()).unwrap().as_str(), "  duas\nlinhas ");
        assert_eq!(Descricao::parse(String::new()).unwrap().into_string(), "");
        assert!(Descricao::parse("é".repeat(32 * 1024)).is_ok());
        let too_large = Descricao::parse("é".repeat(32 * 1024) + "a");
        assert_eq!(too_large, Err(Violation::TooManyBytes { max: 65_536 }));
        assert_eq!(Descricao::parse("a\0".into()), Err(Violation::ContainsNul));
    }
}
