//! An optional field of a partial update.

/// A field of a partial update. Absent keeps the value, null clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The field was not sent.
    #[default]
    Absent,
    /// The field was sent as null.
    Null,
    /// The field was sent with a value.
    Value(T),
}

impl<T> Patch<T> {
    /// Returns whether the field was not sent.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns the value, if one was sent.
    #[must_use]
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_null_and_value_are_distinct() {
        let read = [Patch::Absent, Patch::Null, Patch::Value(7)].map(|patch| (patch.is_absent(), patch.into_value()));
        assert_eq!(read, [(true, None), (false, None), (false, Some(7))]);
    }
}
