//! The rules that a value can violate.

use time::Date;

/// A violated rule. It carries the limit, so messages do not repeat the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Fewer than `min` Unicode scalar values, surrounding white space not counted.
    #[error("shorter than {min} characters")]
    TooShort {
        /// The smallest allowed length.
        min: usize,
    },
    /// More than `max` Unicode scalar values.
    #[error("longer than {max} characters")]
    TooLong {
        /// The largest allowed length.
        max: usize,
    },
    /// More than `max` bytes of UTF-8.
    #[error("longer than {max} bytes")]
    TooManyBytes {
        /// The largest allowed size.
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
        /// The smallest allowed value.
        min: i64,
    },
    /// An integer above `max`.
    #[error("greater than {max}")]
    GreaterThan {
        /// The largest allowed value.
        max: i64,
    },
    /// Not a date, `AAAA-MM-DD`.
    #[error("not a date")]
    NotADate,
    /// A date before `min`.
    #[error("before {min}")]
    DateBefore {
        /// The earliest allowed date.
        min: Date,
    },
    /// A date after `max`.
    #[error("after {max}")]
    DateAfter {
        /// The latest allowed date.
        max: Date,
    },
    /// Not a duration, `HH:MM` from 00:01 to 24:00.
    #[error("not a duration")]
    NotADuration,
    /// Not a GUID, or the all-zero GUID.
    #[error("not a GUID")]
    NotAGuid,
    /// Not a cursor, or a cursor of another order.
    #[error("not a cursor")]
    NotACursor,
    /// Fewer than `min` items.
    #[error("fewer than {min} items")]
    TooFew {
        /// The smallest allowed number.
        min: usize,
    },
    /// More than `max` items.
    #[error("more than {max} items")]
    TooMany {
        /// The largest allowed number.
        max: usize,
    },
    /// An item that equals an earlier one of its list.
    #[error("repeated")]
    Repeated,
    /// Not the first item of the list that the same request has.
    #[error("not the first item of the list")]
    NotTheFirst,
    /// A reference to a projeto that does not exist.
    #[error("no such projeto")]
    UnknownProjeto,
}

/// A field of a request that violates a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// The index of its item, counted from 0, if the request has many.
    pub item: Option<usize>,
    /// The name of the field in the API, for example `id_projeto`.
    pub field: &'static str,
    /// The index in that field, counted from 0, if the field is a list.
    pub index: Option<usize>,
    /// The violated rule.
    pub violation: Violation,
}
