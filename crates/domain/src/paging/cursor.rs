//! Positions in a list.

use std::fmt::Debug;

use time::OffsetDateTime;
use uuid::Uuid;

use super::Listable;
use crate::Violation;

/// A value by which a list is ordered.
pub trait SortKey: Clone + Debug + Eq + Send + Sync + Sized {
    /// Returns the letter that stands for the field, and the value as text.
    fn to_text(&self) -> (char, String);

    /// Reads what [`Self::to_text`] returned, and returns `None` for every other text.
    fn from_text(campo: char, value: &str) -> Option<Self>;
}

/// The position of an item in an ordered list. It encodes the sort key and the id of the item, so it stays valid after
/// the item is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor<K> {
    /// The sort key.
    pub key: K,
    /// The id, which breaks ties.
    pub id: Uuid,
}

impl<K: SortKey> Cursor<K> {
    /// Returns the position of `item` in `ordem`.
    #[must_use]
    pub fn of<T: Listable<SortKey = K>>(item: &T, ordem: T::Ordem) -> Self {
        Self { key: item.sort_key(ordem), id: item.id() }
    }

    /// Returns the cursor as text: a letter for the field, 32 hexadecimal digits of the id, the sort key.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (campo, key) = self.key.to_text();
        format!("{campo}{}{key}", self.id.simple())
    }

    /// Reads what [`Self::to_text`] returned.
    ///
    /// # Errors
    /// [`Violation::NotACursor`] for every other text.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        Self::read(text).ok_or(Violation::NotACursor)
    }

    fn read(text: &str) -> Option<Self> {
        let campo = text.chars().next()?;
        let (id, key) = text.get(1..33).zip(text.get(33..))?;
        Some(Self { key: K::from_text(campo, key)?, id: Uuid::try_parse(id).ok()? })
    }
}

/// Returns `instant` as the number of microseconds since 1970.
pub(crate) fn instant_to_text(instant: OffsetDateTime) -> String {
    (instant.unix_timestamp_nanos() / 1000).to_string()
}

/// Reads what [`instant_to_text`] returned. Years before 0 are rejected, because PostgreSQL cannot store all of them.
pub(crate) fn instant_from_text(text: &str) -> Option<OffsetDateTime> {
    let nanoseconds = text.parse::<i64>().ok().map(|micros| i128::from(micros) * 1000)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().filter(|instant| 0 <= instant.year())
}
