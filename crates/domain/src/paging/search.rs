//! Texts to search for.

use crate::Violation;

/// A text to search for in names, regardless of case and accents. No character is a wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busca(String);

impl Busca {
    /// The largest length in Unicode scalar values: the largest length of a name.
    pub const MAX: usize = 255;

    /// Returns `text` as a text to search for. Every name contains the empty one.
    ///
    /// # Errors
    /// [`Violation::TooLong`], [`Violation::ContainsNul`].
    pub fn parse(text: &str) -> Result<Self, Violation> {
        match text.chars().count() {
            n if Self::MAX < n => Err(Violation::TooLong { max: Self::MAX }),
            _ if text.contains('\0') => Err(Violation::ContainsNul),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_longer_than_a_name_is_rejected() {
        assert_eq!(Busca::parse(" AÇÃO %_").unwrap().as_str(), " AÇÃO %_");
        assert!(Busca::parse(&"é".repeat(255)).is_ok());
        assert_eq!(Busca::parse(&"a".repeat(256)), Err(Violation::TooLong { max: 255 }));
        assert_eq!(Busca::parse("a\0"), Err(Violation::ContainsNul));
    }
}
