//! Which rule a value breaks, with the limit it breaks.

/// A rule that a value broke. It carries the limit, so that no message has to repeat the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Fewer than `min` Unicode scalar values, surrounding white space not counted.
    #[error("shorter than {min} characters")]
    TooShort {
        /// The smallest length that is allowed.
        min: usize,
    },
    /// More than `max` Unicode scalar values.
    #[error("longer than {max} characters")]
    TooLong {
        /// The largest length that is allowed.
        max: usize,
    },
    /// More than `max` bytes of UTF-8.
    #[error("longer than {max} bytes")]
    TooManyBytes {
        /// The largest size that is allowed.
        max: usize,
    },
    /// The text has a NUL character, which PostgreSQL cannot store.
    #[error("contains NUL")]
    ContainsNul,
    /// The text has a control character (Unicode's category Cc) other than a tab or a line break.
    #[error("contains a control character")]
    ControlCharacter,
    /// An integer below `min`.
    #[error("less than {min}")]
    LessThan {
        /// The smallest value that is allowed.
        min: i64,
    },
    /// An integer above `max`.
    #[error("greater than {max}")]
    GreaterThan {
        /// The largest value that is allowed.
        max: i64,
    },
    /// Not a GUID, or one that stands for nothing (all zeros).
    #[error("not a GUID")]
    NotAGuid,
    /// A text that no list gave as a place in it, or one of a list in another order.
    #[error("not a cursor")]
    NotACursor,
    /// Fewer than `min` items.
    #[error("fewer than {min} items")]
    TooFew {
        /// The smallest number that is allowed.
        min: usize,
    },
    /// More than `max` items.
    #[error("more than {max} items")]
    TooMany {
        /// The largest number that is allowed.
        max: usize,
    },
    /// A reference to a projeto that does not exist.
    #[error("no such projeto")]
    UnknownProjeto,
}

/// A field of a request, by its name in the API, and the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// Which item it belongs to, counted from 0, if the request has many.
    pub item: Option<usize>,
    /// The field's name in the API, for example `id_projeto`.
    pub field: &'static str,
    /// The rule it broke.
    pub violation: Violation,
}
