//! The name of a schema: whatever PostgreSQL can hold, and nothing that it would read as another name.

/// The longest name in bytes (`NAMEDATALEN` - 1). PostgreSQL cuts a longer one without a word, so two tenants whose
/// names begin alike would share a schema.
const MAX_BYTES: usize = 63;

/// What begins and ends the bodies of functions in the crate `migration`.
const BODY: &str = "$body$";

/// The name of the schema in which everything of one tenant lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

/// Why a text cannot be the name of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchemaName {
    /// There is nothing.
    #[error("the name of a schema must not be empty")]
    Empty,
    /// PostgreSQL has no texts with NUL.
    #[error("the name of a schema must not contain NUL")]
    ContainsNul,
    /// PostgreSQL would cut it.
    #[error("the name of a schema has at most {MAX_BYTES} bytes of UTF-8")]
    TooLong,
    /// A step of the schema writes the body of a function with it, and in that the name.
    #[error("the name of a schema must not contain {BODY}")]
    ContainsBody,
    /// PostgreSQL keeps it for itself.
    #[error("names that begin with pg_, information_schema and $user are PostgreSQL's own")]
    Reserved,
}

impl SchemaName {
    /// Answers `text` as the name of a schema, as it is: `Tenant` and `tenant` are two.
    ///
    /// # Errors
    /// See [`InvalidSchemaName`].
    pub fn parse(text: &str) -> Result<Self, InvalidSchemaName> {
        match text {
            "" => Err(InvalidSchemaName::Empty),
            _ if text.contains('\0') => Err(InvalidSchemaName::ContainsNul),
            _ if MAX_BYTES < text.len() => Err(InvalidSchemaName::TooLong),
            _ if text.contains(BODY) => Err(InvalidSchemaName::ContainsBody),
            // A search path reads `$user` as the name of the role, in quotes as well.
            "information_schema" | "$user" => Err(InvalidSchemaName::Reserved),
            _ if text.starts_with("pg_") => Err(InvalidSchemaName::Reserved),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as an identifier in SQL and in a search path.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_postgresql_holds_is_accepted() {
        for name in ["api_aponta", "Tenant 1", "a\"b", "a'b", "50%", "ação", "a.b", "a\\b", "public", " ", "a\tb\n"] {
            assert_eq!(SchemaName::parse(name).map(|schema| schema.as_str().to_owned()), Ok(name.to_owned()));
        }
        assert!(SchemaName::parse(&"a".repeat(63)).is_ok());
    }

    #[test]
    fn names_that_would_become_another_schema_are_refused() {
        let cases = [
            ("", InvalidSchemaName::Empty),
            ("a\0b", InvalidSchemaName::ContainsNul),
            (&"a".repeat(64), InvalidSchemaName::TooLong),
            (&"ç".repeat(32), InvalidSchemaName::TooLong),
            ("a$body$b", InvalidSchemaName::ContainsBody),
            ("pg_tenant", InvalidSchemaName::Reserved),
            ("information_schema", InvalidSchemaName::Reserved),
            ("$user", InvalidSchemaName::Reserved),
        ];
        for (name, expected) in cases {
            assert_eq!(SchemaName::parse(name), Err(expected), "{name:?}");
        }
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(SchemaName::parse("a\"b c").unwrap().quoted(), "\"a\"\"b c\"");
    }
}
