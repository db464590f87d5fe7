//! What a partial update says about one field that can be empty.

/// A field of a partial update: absent keeps the value, null clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The field was not sent: its value stays.
    #[default]
    Absent,
    /// The field was sent as null: its value goes.
    Null,
    /// The field was sent with a value.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the field was not sent.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, where one was sent.
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
    fn absent_null_and_a_value_are_three_things() {
        let told = [Patch::Absent, Patch::Null, Patch::Value(7)].map(|patch| (patch.is_absent(), patch.into_value()));
        assert_eq!(told, [(true, None), (false, None), (false, Some(7))]);
    }
}
