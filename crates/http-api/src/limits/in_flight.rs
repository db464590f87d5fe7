//! How much memory requests and responses hold at once in this process, and how much of it one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::Refusal;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What all of them together may hold, in bytes.
const TOTAL: usize = 48 * MIB;
/// What those of one user may hold: a client that reads slowly over many connections leaves room for the others.
const SHARE: usize = 20 * MIB;
/// What a body that is written while it is read holds at most: a batch of rows, or a page of which the JSON turned out to
/// be large, and a chunk of text.
pub const STREAM: usize = 1536 * KIB;
/// What an encoder of gzip holds: its window, its tables and what it has written.
pub const ENCODER: usize = 384 * KIB;
/// The largest list of projects that Azure DevOps may return.
pub const AZURE_LIST: usize = 16 * MIB;
/// A body up to this size is not counted: the buffers of its connection are larger.
const SMALL: usize = 16 * KIB;
/// How long a request waits until others have freed what it needs.
const WAIT: Duration = Duration::from_secs(5);

/// What is held now. A clone counts on.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<Held>,
    freed: Notify,
    bytes: Gauge,
    refusals: Counter,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    users: HashMap<Arc<str>, usize>,
}

impl InFlight {
    /// The gauge of the bytes that are held, and the counter of refusals.
    pub fn metrics(&self) -> (Gauge, Counter) {
        (self.0.bytes.clone(), self.0.refusals.clone())
    }

    /// Reserves `bytes` for `user` at once.
    ///
    /// # Errors
    /// `Overloaded` when they, or the user, would hold too much.
    pub fn try_reserve(&self, user: &str, bytes: usize) -> Result<Reservation, Refusal> {
        self.attempt(user, bytes).ok_or_else(|| self.refuse())
    }

    /// Reserves `bytes` for `user`, as soon as others have freed them.
    ///
    /// # Errors
    /// `Overloaded` when that takes longer than [`WAIT`].
    pub async fn reserve(&self, user: &str, bytes: usize) -> Result<Reservation, Refusal> {
        let deadline = Instant::now() + WAIT;
        loop {
            let freed = self.0.freed.notified();
            if let Some(reservation) = self.attempt(user, bytes) {
                return Ok(reservation);
            }
            timeout_at(deadline, freed).await.map_err(|_| self.refuse())?;
        }
    }

    fn attempt(&self, user: &str, bytes: usize) -> Option<Reservation> {
        let user: Arc<str> = user.into();
        {
            let mut held = self.held();
            let own = held.users.get(&user).copied().unwrap_or_default();
            if TOTAL < held.total.saturating_add(bytes) || SHARE < own.saturating_add(bytes) {
                return None;
            }
            held.add(&user, bytes);
            self.show(&held);
        }
        Some(Reservation { in_flight: self.clone(), user, bytes })
    }

    fn refuse(&self) -> Refusal {
        self.0.refusals.inc();
        Refusal::Overloaded
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, held: &Held) {
        self.0.bytes.set(i64::try_from(held.total).unwrap_or(i64::MAX));
    }
}

impl Held {
    fn add(&mut self, user: &Arc<str>, bytes: usize) {
        self.total = self.total.saturating_add(bytes);
        let own = self.users.entry(Arc::clone(user)).or_default();
        *own = own.saturating_add(bytes);
    }

    fn remove(&mut self, user: &Arc<str>, bytes: usize) {
        self.total = self.total.saturating_sub(bytes);
        if let Some(own) = self.users.get_mut(user) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                self.users.remove(user);
            }
        }
    }
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    in_flight: InFlight,
    user: Arc<str>,
    bytes: usize,
}

impl Reservation {
    /// Holds `bytes` instead. More of them are never refused: what has been done must be reported.
    pub fn resize(&mut self, bytes: usize) {
        {
            let mut held = self.in_flight.held();
            held.remove(&self.user, self.bytes);
            held.add(&self.user, bytes);
            self.in_flight.show(&held);
        }
        if bytes < self.bytes {
            self.in_flight.0.freed.notify_waiters();
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        {
            let mut held = self.in_flight.held();
            held.remove(&self.user, self.bytes);
            self.in_flight.show(&held);
        }
        self.in_flight.0.freed.notify_waiters();
    }
}

/// What a body of that size counts, or one of unknown size.
pub fn cost(size: Option<u64>) -> usize {
    match size.map(usize::try_from) {
        Some(Ok(bytes)) if bytes <= SMALL => 0,
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) => usize::MAX,
        None => STREAM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(in_flight: &InFlight) -> usize {
        usize::try_from(in_flight.metrics().0.get()).unwrap()
    }

    #[test]
    fn one_user_holds_a_share_and_all_of_them_the_total() {
        let in_flight = InFlight::default();
        let first = in_flight.try_reserve("ana", SHARE).unwrap();
        assert_eq!(in_flight.try_reserve("ana", 1).unwrap_err(), Refusal::Overloaded);
        let second = in_flight.try_reserve("bia", SHARE).unwrap();
        let third = in_flight.try_reserve("caio", TOTAL - 2 * SHARE).unwrap();
        assert_eq!(in_flight.try_reserve("davi", 1).unwrap_err(), Refusal::Overloaded);
        assert_eq!((total(&in_flight), in_flight.metrics().1.get()), (TOTAL, 2));

        drop(second);
        let _ = in_flight.try_reserve("davi", SHARE).unwrap();
        drop((first, third));

        assert_eq!(total(&in_flight), 0);
        assert!(in_flight.held().users.is_empty());
    }

    #[test]
    fn a_reservation_changes_its_size_and_is_never_refused_then() {
        let in_flight = InFlight::default();
        let mut reservation = in_flight.try_reserve("ana", MIB).unwrap();
        reservation.resize(2 * SHARE);
        assert_eq!(total(&in_flight), 2 * SHARE);
        reservation.resize(0);
        assert_eq!(total(&in_flight), 0);
        assert!(in_flight.try_reserve("ana", SHARE).is_ok());
    }

    #[actix_web::test]
    async fn a_request_waits_until_there_is_room_but_not_forever() {
        let in_flight = InFlight::default();
        let held = in_flight.try_reserve("ana", SHARE).unwrap();
        let began = Instant::now();
        assert_eq!(in_flight.reserve("ana", 1).await.unwrap_err(), Refusal::Overloaded);
        assert!(WAIT <= began.elapsed());

        let waiting = in_flight.clone();
        let waiting = actix_web::rt::spawn(async move { waiting.reserve("ana", MIB).await.map(|held| held.bytes) });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waiting.await.unwrap(), Ok(MIB));
    }

    #[test]
    fn small_bodies_cost_nothing_and_streams_what_they_hold() {
        let cases = [(Some(0), 0), (Some(16 * 1024), 0), (Some(16 * 1024 + 1), 16 * 1024 + 1), (None, STREAM)];
        for (size, expected) in cases {
            assert_eq!(cost(size), expected, "{size:?}");
        }
    }
}
