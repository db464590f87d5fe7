//! The time entries whose hours the form of the client may have added to a work item.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use time::{Duration, OffsetDateTime};

use super::HoursChange;
use super::manual::{TOLERANCE, are_equal};

/// How long after making a time entry a person saves the form that adds the same hours.
const FORM_DELAY: Duration = Duration::HOUR;
/// How far the clocks of this service and of Azure DevOps differ.
const CLOCK_DIFFERENCE: Duration = Duration::MINUTE;

/// The hours of a time entry, as the form of the client may have added them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedHours {
    /// The id of the person.
    pub usuario: String,
    /// The duration in minutes.
    pub minutos: u16,
    /// When the entry was made.
    pub criado_em: OffsetDateTime,
}

/// Which time entries of a work item the form may have added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedHoursFilter {
    /// The ids of the persons.
    pub usuarios: BTreeSet<String>,
    /// Not made before.
    pub de: OffsetDateTime,
    /// Not made after.
    pub ate: OffsetDateTime,
}

impl BookedHoursFilter {
    /// Returns the entries of those who made one of `changes` that added hours to `completed_work`; `None` if none did.
    pub(super) fn of(completed_work: f64, changes: &[HoursChange]) -> Option<Self> {
        let before = std::iter::once(completed_work).chain(changes.iter().map(|change| change.completed_work));
        let additions = changes.iter().zip(before).filter(|(change, before)| *before < change.completed_work);
        let additions: Vec<_> = additions.map(|(change, _)| change).collect();
        Some(Self {
            usuarios: additions.iter().map(|change| change.autor.clone()).collect(),
            de: earliest(additions.iter().map(|change| change.em).min()?),
            ate: latest(additions.iter().map(|change| change.em).max()?),
        })
    }
}

/// Time entries that no change contains yet, by person, oldest first.
pub(super) struct Bookings<'a>(HashMap<&'a str, Vec<&'a BookedHours>>);

impl<'a> Bookings<'a> {
    /// Takes `entries`, oldest first.
    pub(super) fn new(entries: &'a [BookedHours]) -> Self {
        let mut by_person = HashMap::<_, Vec<_>>::new();
        for entry in entries {
            by_person.entry(entry.usuario.as_str()).or_default().push(entry);
        }
        Self(by_person)
    }

    /// Removes the consecutive time entries that have the author and together the duration of a change, and returns their
    /// minutes, `max` at most.
    pub(super) fn take(&mut self, change: &HoursChange, added: f64, max: u32) -> Option<u32> {
        let entries = self.0.get_mut(change.autor.as_str())?;
        let start = entries.partition_point(|entry| entry.criado_em < earliest(change.em));
        let end = entries.partition_point(|entry| entry.criado_em <= latest(change.em));
        let (run, minutos) = run_of(entries.get(start..end)?, added)?;
        if max < minutos {
            return None;
        }
        entries.drain(start + run.start..start + run.end);
        Some(minutos)
    }
}

/// Returns the first consecutive entries that together have `added` hours, and their minutes. Every entry has minutes, so one
/// pass finds them.
fn run_of(entries: &[&BookedHours], added: f64) -> Option<(Range<usize>, u32)> {
    if added < TOLERANCE {
        return None;
    }
    let (mut start, mut minutos) = (0, 0_u32);
    for (index, entry) in entries.iter().enumerate() {
        minutos += u32::from(entry.minutos);
        while added + TOLERANCE <= f64::from(minutos) / 60.0 {
            minutos -= u32::from(entries.get(start)?.minutos);
            start += 1;
        }
        if are_equal(f64::from(minutos) / 60.0, added) {
            return Some((start..index + 1, minutos));
        }
    }
    None
}

/// Returns the earliest time of an entry that the form adds at `em`.
fn earliest(em: OffsetDateTime) -> OffsetDateTime {
    em.saturating_sub(FORM_DELAY)
}

/// Returns the latest time of an entry that the form adds at `em`.
fn latest(em: OffsetDateTime) -> OffsetDateTime {
    em.saturating_add(CLOCK_DIFFERENCE)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

    fn change(autor: &str, minute: i64, completed_work: f64) -> HoursChange {
        HoursChange { rev: minute, autor: autor.to_owned(), em: NOON + Duration::minutes(minute), completed_work }
    }

    #[test]
    fn filter_has_the_authors_and_the_times_of_additions_alone() {
        let changes = [change("ana", 0, 3.0), change("rui", 90, 2.5), change("bia", 120, 4.0), change("rui", 300, 4.0)];

        let filter = BookedHoursFilter::of(2.0, &changes).unwrap();

        assert_eq!(filter.usuarios, BTreeSet::from(["ana".to_owned(), "bia".to_owned()]));
        assert_eq!((filter.de, filter.ate), (NOON - Duration::HOUR, NOON + Duration::minutes(121)));
        assert_eq!(BookedHoursFilter::of(3.0, &[change("ana", 0, 3.0), change("rui", 1, 1.0)]), None);
    }

    /// Comparing each entry with each other would take minutes.
    #[test]
    fn many_entries_of_one_hour_are_searched_once_per_change() {
        let entry =
            |n| BookedHours { usuario: "ana".to_owned(), minutos: 2, criado_em: NOON + Duration::milliseconds(n) };
        let entries: Vec<_> = (0..200_000).map(entry).collect();
        let mut bookings = Bookings::new(&entries);
        let started = std::time::Instant::now();

        let odd = f64::from(399_999) / 60.0;
        let taken = (0..10).map(|_| bookings.take(&change("ana", 5, 0.0), odd, u32::MAX)).collect::<Vec<_>>();

        assert_eq!(taken, [None; 10]);
        assert_eq!(bookings.take(&change("ana", 5, 0.0), 1.0, 59), None);
        assert_eq!(bookings.take(&change("ana", 5, 0.0), 1.0, 60), Some(60));
        assert!(started.elapsed() < std::time::Duration::from_secs(10));
    }
}
