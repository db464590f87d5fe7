//! Searches for work items.

use crate::{Violation, text};

/// A search for work items by id or by words of the title.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkItemSearch {
    /// The id or the words.
    pub texto: WorkItemText,
    /// The id or the name of the only project to search; `None` for all that the caller can see.
    pub projeto: Option<String>,
    /// The names of the types to search. Empty for every type.
    pub tipos: WorkItemTypes,
    /// The largest number of results.
    pub limit: WorkItemLimit,
}

/// The id or the words to search for: 2..=255 characters without surrounding white space, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkItemText(String);

impl WorkItemText {
    /// The smallest length. Fewer characters are in nearly every title.
    pub const MIN: usize = 2;
    /// The largest length in Unicode scalar values: the largest length of a title.
    pub const MAX: usize = 255;

    /// Parses the text of a search.
    ///
    /// # Errors
    /// [`Violation::TooShort`], [`Violation::TooLong`], [`Violation::ContainsNul`], [`Violation::ControlCharacter`].
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        match text.chars().count() {
            n if n < Self::MIN => Err(Violation::TooShort { min: Self::MIN }),
            n if Self::MAX < n => Err(Violation::TooLong { max: Self::MAX }),
            _ => check_characters(text).map(|()| Self(text.to_owned())),
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names of types of work items: at most 20, each 1..=128 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct WorkItemTypes(Vec<String>);

impl WorkItemTypes {
    /// The largest number of names.
    pub const MAX: usize = 20;
    /// The largest length of a name: that of Azure DevOps.
    pub const MAX_NAME: usize = 128;

    /// Parses names separated by commas. White space around a name does not count, and empty names are left out.
    ///
    /// # Errors
    /// [`Violation::TooMany`], [`Violation::TooLong`], [`Violation::ContainsNul`], [`Violation::ControlCharacter`].
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let names: Vec<_> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if Self::MAX < names.len() {
            return Err(Violation::TooMany { max: Self::MAX });
        }
        for name in &names {
            if Self::MAX_NAME < name.chars().count() {
                return Err(Violation::TooLong { max: Self::MAX_NAME });
            }
            check_characters(name)?;
        }
        Ok(Self(names.into_iter().map(str::to_owned).collect()))
    }

    /// Returns the names.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// The largest number of results of a search: 1..=200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkItemLimit(u8);

impl WorkItemLimit {
    /// The smallest limit.
    pub const MIN: i64 = 1;
    /// The largest limit: one batch of Azure DevOps.
    pub const MAX: i64 = 200;
    /// The limit of a search that names none.
    pub const DEFAULT: i64 = 10;

    /// Parses a limit.
    ///
    /// # Errors
    /// [`Violation::LessThan`], [`Violation::GreaterThan`].
    pub fn parse(limit: i64) -> Result<Self, Violation> {
        match u8::try_from(limit) {
            _ if limit < Self::MIN => Err(Violation::LessThan { min: Self::MIN }),
            Ok(small) if limit <= Self::MAX => Ok(Self(small)),
            _ => Err(Violation::GreaterThan { max: Self::MAX }),
        }
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for WorkItemLimit {
    fn default() -> Self {
        Self(10)
    }
}

fn check_characters(text: &str) -> Result<(), Violation> {
    if text.contains('\0') {
        return Err(Violation::ContainsNul);
    }
    if text::has_control(text) { Err(Violation::ControlCharacter) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_2_to_255_characters_without_control_characters() {
        assert_eq!(WorkItemText::parse("  nó ").unwrap().as_str(), "nó");
        assert!(WorkItemText::parse(&"é".repeat(255)).is_ok());
        let cases = [
            ("", Violation::TooShort { min: 2 }),
            ("  a   ", Violation::TooShort { min: 2 }),
            (&"a".repeat(256), Violation::TooLong { max: 255 }),
            ("a\0", Violation::ContainsNul),
            ("a\u{1b}", Violation::ControlCharacter),
        ];
        for (text, violation) in cases {
            assert_eq!(WorkItemText::parse(text), Err(violation), "{text:?}");
        }
    }

    #[test]
    fn types_are_separated_by_commas() {
        let parse = |text: &str| WorkItemTypes::parse(text).map(|types| types.as_slice().join("|"));

        assert_eq!(parse("Task, História de Usuário ,,Bug"), Ok("Task|História de Usuário|Bug".to_owned()));
        assert_eq!(parse(" , "), Ok(String::new()));
        assert_eq!(parse(&"a,".repeat(21)), Err(Violation::TooMany { max: 20 }));
        assert_eq!(parse(&"a".repeat(129)), Err(Violation::TooLong { max: 128 }));
        assert_eq!(parse("Task,\0"), Err(Violation::ContainsNul));
    }

    #[test]
    fn limit_is_1_to_200() {
        assert_eq!([1, 200].map(|limit| WorkItemLimit::parse(limit).map(WorkItemLimit::get)), [Ok(1), Ok(200)]);
        assert_eq!(WorkItemLimit::parse(WorkItemLimit::DEFAULT), Ok(WorkItemLimit::default()));
        for limit in [0, -1, i64::MIN] {
            assert_eq!(WorkItemLimit::parse(limit), Err(Violation::LessThan { min: 1 }), "{limit}");
        }
        for limit in [201, 256, i64::MAX] {
            assert_eq!(WorkItemLimit::parse(limit), Err(Violation::GreaterThan { max: 200 }), "{limit}");
        }
    }
}
