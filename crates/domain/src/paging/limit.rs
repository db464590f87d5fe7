//! Bounds of a page.

use crate::Violation;

/// The number of matches that a list skips: 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skip(i64);

impl Skip {
    /// The smallest value.
    pub const MIN: i64 = 0;
    /// From this number on, reading the skipped rows takes noticeably long.
    const DEEP: i64 = 10_000;

    /// Returns `n` if it is not negative.
    ///
    /// # Errors
    /// [`Violation::LessThan`].
    pub fn parse(n: i64) -> Result<Self, Violation> {
        if n < Self::MIN { Err(Violation::LessThan { min: Self::MIN }) } else { Ok(Self(n)) }
    }

    /// Returns whether reading the skipped rows takes noticeably long.
    #[must_use]
    pub const fn is_deep(self) -> bool {
        Self::DEEP <= self.0
    }

    /// The number, never negative.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// The largest number of items on a page: 1..=1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(i64);

impl Limit {
    /// The smallest value.
    pub const MIN: i64 = 1;
    /// The largest value.
    pub const MAX: i64 = 1000;
    /// The value for a request that sends none.
    pub const DEFAULT: i64 = 100;
    /// A single item.
    pub const ONE: Self = Self(1);
    /// The largest page.
    pub const LARGEST: Self = Self(Self::MAX);

    /// Returns `n` if it is within the bounds.
    ///
    /// # Errors
    /// [`Violation::LessThan`], [`Violation::GreaterThan`].
    pub fn parse(n: i64) -> Result<Self, Violation> {
        match n {
            n if n < Self::MIN => Err(Violation::LessThan { min: Self::MIN }),
            n if Self::MAX < n => Err(Violation::GreaterThan { max: Self::MAX }),
            n => Ok(Self(n)),
        }
    }

    /// The number, 1..=1000.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_out_of_bounds_is_rejected() {
        assert_eq!(Skip::parse(-1), Err(Violation::LessThan { min: 0 }));
        assert_eq!(Skip::parse(i64::MAX).map(Skip::get), Ok(i64::MAX));
        assert_eq!(Limit::parse(0), Err(Violation::LessThan { min: 1 }));
        assert_eq!(Limit::parse(1).map(Limit::get), Ok(1));
        assert_eq!(Limit::parse(1000).map(Limit::get), Ok(1000));
        assert_eq!(Limit::parse(1001), Err(Violation::GreaterThan { max: 1000 }));
        assert_eq!(Limit::default().get(), 100);
    }
}
