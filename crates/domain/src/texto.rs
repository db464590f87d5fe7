//! Rules that more than one text shares.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::Violation;

/// The longest name of an atividade or a projeto, in Unicode scalar values: that is what `varchar(255)` counts.
const NOME_MAX: usize = 255;

/// Trims `text` and answers it when it is a name: 1..=255 characters, no NUL. Copied only when there is something to trim:
/// a list reads two names for each of its rows.
pub(crate) fn parse_nome(text: String) -> Result<String, Violation> {
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

/// A free text that says more than a name: at most 64 KiB of UTF-8, no NUL, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descricao(String);

impl Descricao {
    /// The largest size in bytes of UTF-8.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Answers `text` as a description.
    ///
    /// # Errors
    /// [`Violation::TooManyBytes`] above [`Self::MAX_BYTES`], [`Violation::ContainsNul`].
    pub fn parse(text: String) -> Result<Self, Violation> {
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
        ];
        for (text, expected) in cases {
            assert_eq!(parse_nome(text.to_owned()), expected, "{text:?}");
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
