//! The name of a schema: every name that PostgreSQL accepts, except those that it would read as another one.

/// `NAMEDATALEN` - 1. PostgreSQL truncates a longer name silently, so two tenants with a common prefix could share a schema.
const MAX_BYTES: usize = 63;

/// The name of the schema of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

/// Why a text is no valid name of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchemaName {
    /// The text is empty.
    #[error("the name of a schema must not be empty")]
    Empty,
    /// PostgreSQL texts cannot contain NUL.
    #[error("the name of a schema must not contain NUL")]
    ContainsNul,
    /// PostgreSQL would truncate it.
    #[error("the name of a schema has at most {MAX_BYTES} bytes of UTF-8")]
    TooLong,
    /// PostgreSQL reserves the name.
    #[error("names that begin with pg_, information_schema and $user are PostgreSQL's own")]
    Reserved,
}

impl SchemaName {
    /// Parses `text` without changing it: `Tenant` and `tenant` are different schemas.
    ///
    /// # Errors
    /// See [`InvalidSchemaName`].
    pub fn parse(text: &str) -> Result<Self, InvalidSchemaName> {
        match text {
            "" => Err(InvalidSchemaName::Empty),
            _ if text.contains('\0') => Err(InvalidSchemaName::ContainsNul),
            _ if MAX_BYTES < text.len() => Err(InvalidSchemaName::TooLong),
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
