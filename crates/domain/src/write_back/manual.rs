//! The hours of a work item that people wrote by hand.

use super::booked::Bookings;
use super::{BookedHours, HoursChange, KnownHours, PendingWrite, WorkItemHours};

/// Smaller differences of hours come from rounding to two digits.
pub(super) const TOLERANCE: f64 = 0.005;
/// Returns whether two numbers of hours are equal, but for their rounding.
pub(super) fn are_equal(one: f64, other: f64) -> bool {
    (one - other).abs() < TOLERANCE
}

/// Returns `CompletedWork` for these parts. The part of the time entries has two digits, as in the API.
pub(super) fn completed_work(manual: f64, minutos: u32) -> f64 {
    let booked = (f64::from(minutos) / 60.0 * 100.0).round() / 100.0;
    // Without the noise of sums of binary fractions.
    ((manual + booked) * 10_000.0).round() / 10_000.0
}

/// Returns the parts of the hours of `item` if they follow from its current state alone.
pub(super) fn without_history(pending: &PendingWrite, item: &WorkItemHours) -> Option<KnownHours> {
    let (rev, completed_work) = (item.rev, item.completed_work.unwrap_or_default());
    match (pending.known, pending.attempt) {
        (_, Some(attempt)) if rev == attempt.rev + 1 && are_equal(completed_work, attempt.completed_work) => {
            Some(KnownHours { rev, completed_work, manual: attempt.manual, minutos: attempt.minutos })
        }
        (Some(known), None) if are_equal(completed_work, known.completed_work) => {
            Some(KnownHours { rev, completed_work, ..known })
        }
        (None, None) if completed_work == 0.0 => Some(KnownHours { rev, ..KnownHours::default() }),
        _ => None,
    }
}

/// Returns the parts of the hours of `item` from the `changes` since the known revision. What they add is manual, except for
///
/// - the write of this service whose result was unknown,
/// - hours that the client's form added for time entries: the same person, the same duration, about the same time. They are
///   never more than the time entries that no write contains.
///
/// The manual part is never negative: who sets a smaller number than that of the time entries wrote no hours by hand.
pub(super) fn from_history(
    pending: &PendingWrite,
    item: &WorkItemHours,
    changes: &[HoursChange],
    entries: &[BookedHours],
) -> KnownHours {
    let mut parts = pending.known.unwrap_or_default();
    let mut bookings = Bookings::new(entries);
    for change in changes {
        if change.rev <= parts.rev || item.rev < change.rev {
            continue;
        }
        let added = change.completed_work - parts.completed_work;
        (parts.rev, parts.completed_work) = (change.rev, change.completed_work);
        if let Some(attempt) = pending.attempt
            && change.rev == attempt.rev + 1
            && are_equal(change.completed_work, attempt.completed_work)
        {
            (parts.manual, parts.minutos) = (attempt.manual, attempt.minutos);
            continue;
        }
        let left = pending.minutos.saturating_sub(parts.minutos);
        match bookings.take(change, added, left) {
            Some(minutos) => parts.minutos += minutos,
            None => parts.manual += added,
        }
    }
    let completed_work = item.completed_work.unwrap_or_default();
    // The difference is what no revision shows.
    let manual = parts.manual + completed_work - parts.completed_work;
    KnownHours { rev: item.rev, completed_work, manual: manual.max(0.0), minutos: parts.minutos }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use time::{Duration, OffsetDateTime};
    use uuid::Uuid;

    use super::*;
    use crate::{WorkItemId, WriteAttempt};

    const NOON: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

    fn pending(minutos: u32, known: Option<KnownHours>) -> PendingWrite {
        PendingWrite {
            work_item: WorkItemId::new(41).unwrap(),
            claim: Uuid::nil(),
            versao: 1,
            minutos,
            tentativas: 0,
            known,
            attempt: None,
        }
    }

    fn change(rev: i64, autor: &str, minute: i64, completed_work: f64) -> HoursChange {
        HoursChange { rev, autor: autor.to_owned(), em: NOON + Duration::minutes(minute), completed_work }
    }

    fn entry(usuario: &str, minute: i64, minutos: u16) -> BookedHours {
        BookedHours { usuario: usuario.to_owned(), minutos, criado_em: NOON + Duration::minutes(minute) }
    }

    /// The state of a work item with 2 h by hand and 1.5 h of entries.
    const KNOWN: KnownHours = KnownHours { rev: 5, completed_work: 3.5, manual: 2.0, minutos: 90 };

    fn item(rev: i64, completed_work: f64) -> WorkItemHours {
        WorkItemHours {
            id: WorkItemId::new(41).unwrap(),
            rev,
            tipo: "Task".to_owned(),
            estado: "Active".to_owned(),
            projeto: "Portal".to_owned(),
            original_estimate: None,
            remaining_work: None,
            completed_work: Some(completed_work),
        }
    }

    /// Returns the manual part and the minutes of entries after `changes`.
    fn parts(pending: &PendingWrite, changes: &[HoursChange], entries: &[BookedHours]) -> (f64, u32) {
        let last = changes.last().unwrap();
        let parts = from_history(pending, &item(last.rev, last.completed_work), changes, entries);
        assert_eq!((parts.rev, parts.completed_work), (last.rev, last.completed_work));
        ((parts.manual * 100.0).round() / 100.0, parts.minutos)
    }

    #[test]
    fn hours_typed_by_hand_are_manual() {
        let changes = [change(6, "ana", 0, 7.0), change(7, "bia", 1, 6.5)];

        assert_eq!(parts(&pending(90, Some(KNOWN)), &changes, &[]), (5.0, 90));
        assert_eq!(parts(&pending(0, None), &changes, &[]), (6.5, 0));
        let gap = from_history(&pending(0, None), &item(7, 6.5), &[], &[]);
        assert!(are_equal(gap.manual, 6.5));
        let not_yet_read = from_history(&pending(90, Some(KNOWN)), &item(6, 7.0), &changes, &[]);
        assert!(are_equal(not_yet_read.manual, 5.5));
    }

    #[test]
    fn less_than_the_entries_is_no_negative_part() {
        assert_eq!(parts(&pending(90, Some(KNOWN)), &[change(6, "ana", 0, 1.0)], &[]), (0.0, 90));
    }

    #[test]
    fn form_that_adds_the_hours_of_new_entries_is_not_manual() {
        let entries = [entry("ana", 0, 30), entry("ana", 1, 60), entry("bia", 1, 20)];
        let each = vec![change(6, "ana", 2, 4.0), change(7, "ana", 2, 5.0), change(8, "bia", 3, 5.33)];
        let cases = [
            ("one entry", vec![change(6, "ana", 2, 4.5)], (2.0, 150)),
            ("both at once", vec![change(6, "ana", 2, 5.0)], (2.0, 180)),
            ("each of two persons", each, (2.0, 200)),
            ("one entry twice", vec![change(6, "ana", 2, 4.5), change(7, "ana", 3, 5.5)], (3.0, 150)),
            ("hours of somebody else", vec![change(6, "caio", 2, 4.5)], (3.0, 90)),
            ("another duration", vec![change(6, "ana", 2, 4.25)], (2.75, 90)),
            ("two hours later", vec![change(6, "ana", 122, 4.5)], (3.0, 90)),
            ("before the entry", vec![change(6, "ana", -10, 4.5)], (3.0, 90)),
        ];
        for (case, changes, expected) in cases {
            assert_eq!(parts(&pending(200, Some(KNOWN)), &changes, &entries), expected, "{case}");
        }
    }

    #[test]
    fn hours_that_a_write_contains_are_never_those_of_the_form() {
        let entries = [entry("ana", 0, 60)];

        assert_eq!(parts(&pending(90, Some(KNOWN)), &[change(6, "ana", 2, 4.5)], &entries), (3.0, 90));
    }

    #[test]
    fn write_of_unknown_result_is_recognised_at_its_revision_only() {
        let attempt = WriteAttempt { rev: 5, completed_work: 4.5, manual: 2.0, minutos: 150 };
        let pending = PendingWrite { attempt: Some(attempt), ..pending(150, Some(KNOWN)) };

        let landed = KnownHours { rev: 6, completed_work: 4.5, manual: 2.0, minutos: 150 };
        assert_eq!(without_history(&pending, &item(6, 4.5)), Some(landed));
        for (rev, value) in [(6, 3.5), (7, 4.5)] {
            assert_eq!(without_history(&pending, &item(rev, value)), None);
        }
        let landed_before_a_change = [change(6, "servico", 0, 4.5), change(7, "ana", 1, 5.5)];
        assert_eq!(parts(&pending, &landed_before_a_change, &[]), (3.0, 150));
        let overtaken = [change(6, "ana", 0, 4.0), change(7, "ana", 1, 4.5)];
        assert_eq!(parts(&pending, &overtaken, &[]), (3.0, 90));
    }

    #[test]
    fn unchanged_hours_need_no_history() {
        assert_eq!(without_history(&pending(120, Some(KNOWN)), &item(9, 3.5)), Some(KnownHours { rev: 9, ..KNOWN }));
        assert_eq!(without_history(&pending(120, Some(KNOWN)), &item(9, 3.6)), None);
        let empty = WorkItemHours { completed_work: None, ..item(3, 0.0) };
        assert_eq!(without_history(&pending(60, None), &empty).map(|known| known.minutos), Some(0));
        assert_eq!(without_history(&pending(60, None), &item(1, 2.0)), None);
    }

    #[test]
    fn completed_work_keeps_what_people_typed() {
        assert_eq!(
            [(0.125, 0), (0.1, 20), (0.2, 60), (1.333, 1)]
                .map(|(manual, minutos)| { format!("{}", completed_work(manual, minutos)) }),
            ["0.125", "0.43", "1.2", "1.353"]
        );
    }
}
