//! The memory that requests and responses hold, limited for the process and for each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::RequestRejection;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limit of the process, in bytes.
const MAX_TOTAL: usize = 48 * MIB;
/// The limit of one user: a client with many slow connections leaves room for others.
const MAX_PER_USER: usize = 20 * MIB;
/// The cost of a streamed body: a batch of rows or a page with large JSON, and a chunk of text.
pub const STREAM: usize = 1536 * KIB;
/// The cost of a gzip encoder: window, tables and output.
pub const ENCODER: usize = 384 * KIB;
/// The maximum size of a list of projects from Azure DevOps.
pub const AZURE_LIST: usize = 16 * MIB;
/// The cost of a report: 10,000 lines with texts of [`domain::REPORT_BYTES`], and their order.
pub const REPORT: usize = 8 * MIB;
/// The cost of a name in the response to a write, with the text around it: 255 characters take up to 1,020 bytes.
pub const NAME: usize = 1280;
/// The maximum size of a body without cost: the buffers of its connection are larger.
const MAX_FREE_BYTES: usize = 16 * KIB;
/// The maximum time that a request waits for memory.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The reserved memory. A clone shares the counters.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<Held>,
    freed: Notify,
    bytes: Gauge,
    rejections: Counter,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    users: HashMap<Arc<str>, usize>,
}

impl InFlight {
    /// Returns the gauge of reserved bytes and the counter of rejections.
    pub fn metrics(&self) -> (Gauge, Counter) {
        (self.0.bytes.clone(), self.0.rejections.clone())
    }

    /// Reserves `bytes` for `user` without waiting.
    ///
    /// # Errors
    /// `Overloaded` if a limit would be exceeded; `ResponseTooLarge` if no retry can succeed.
    pub fn try_reserve(&self, user: &str, bytes: usize) -> Result<Reservation, RequestRejection> {
        check_size(bytes)?;
        self.attempt(user, bytes).ok_or_else(|| self.reject())
    }

    /// Reserves `bytes` for `user`, and waits until they are available.
    ///
    /// # Errors
    /// `Overloaded` after [`MAX_WAIT`]; `ResponseTooLarge` if no retry can succeed.
    pub async fn reserve(&self, user: &str, bytes: usize) -> Result<Reservation, RequestRejection> {
        check_size(bytes)?;
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            let freed = self.0.freed.notified();
            if let Some(reservation) = self.attempt(user, bytes) {
                return Ok(reservation);
            }
            timeout_at(deadline, freed).await.map_err(|_| self.reject())?;
        }
    }

    /// Reserves `bytes` for `user` until the body of the response to `request` is sent, and waits until they are available.
    /// A body of known size then holds its size only.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_response(
        &self,
        request: &HttpRequest,
        user: &str,
        bytes: usize,
    ) -> Result<(), RequestRejection> {
        let reservation = self.reserve(user, bytes).await?;
        request.extensions_mut().insert(reservation);
        Ok(())
    }

    fn attempt(&self, user: &str, bytes: usize) -> Option<Reservation> {
        let user: Arc<str> = user.into();
        {
            let mut held = self.held();
            let own = held.users.get(&user).copied().unwrap_or_default();
            let is_over = MAX_TOTAL < held.total.saturating_add(bytes) || MAX_PER_USER < own.saturating_add(bytes);
            if is_over && 0 < bytes {
                return None;
            }
            held.add(&user, bytes);
            self.publish(&held);
        }
        Some(Reservation { in_flight: self.clone(), user, bytes })
    }

    fn reject(&self) -> RequestRejection {
        self.0.rejections.inc();
        RequestRejection::Overloaded
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, held: &Held) {
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

/// Reserved bytes. They are released on drop.
#[derive(Debug)]
pub struct Reservation {
    in_flight: InFlight,
    user: Arc<str>,
    bytes: usize,
}

impl Reservation {
    /// Changes the size to `bytes` without waiting.
    ///
    /// # Errors
    /// `Overloaded` if the size grows and a limit would be exceeded; `ResponseTooLarge` if no retry can succeed. The size
    /// stays as it is.
    pub fn try_resize(&mut self, bytes: usize) -> Result<(), RequestRejection> {
        check_size(bytes)?;
        let _more = self.in_flight.try_reserve(&self.user, bytes.saturating_sub(self.bytes))?;
        self.resize(bytes);
        Ok(())
    }

    /// Changes the size to `bytes`. It never fails, because the response to a completed write must be sent.
    pub fn resize(&mut self, bytes: usize) {
        {
            let mut held = self.in_flight.held();
            held.remove(&self.user, self.bytes);
            held.add(&self.user, bytes);
            self.in_flight.publish(&held);
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
            self.in_flight.publish(&held);
        }
        self.in_flight.0.freed.notify_waiters();
    }
}

/// Rejects what exceeds the limit of a user even if nothing else is reserved: `Overloaded` would ask for retries without end.
const fn check_size(bytes: usize) -> Result<(), RequestRejection> {
    if MAX_PER_USER < bytes { Err(RequestRejection::ResponseTooLarge) } else { Ok(()) }
}

/// Returns the cost of a body of that size, or of unknown size.
pub fn cost(size: Option<u64>) -> usize {
    match size.map(usize::try_from) {
        Some(Ok(bytes)) if bytes <= MAX_FREE_BYTES => 0,
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
    fn reservations_are_limited_per_user_and_in_total() {
        let in_flight = InFlight::default();
        let first = in_flight.try_reserve("ana", MAX_PER_USER).unwrap();
        assert_eq!(in_flight.try_reserve("ana", 1).unwrap_err(), RequestRejection::Overloaded);
        let second = in_flight.try_reserve("bia", MAX_PER_USER).unwrap();
        let third = in_flight.try_reserve("caio", MAX_TOTAL - 2 * MAX_PER_USER).unwrap();
        assert_eq!(in_flight.try_reserve("davi", 1).unwrap_err(), RequestRejection::Overloaded);
        assert_eq!((total(&in_flight), in_flight.metrics().1.get()), (MAX_TOTAL, 2));

        drop(second);
        let _ = in_flight.try_reserve("davi", MAX_PER_USER).unwrap();
        assert!(in_flight.try_reserve("davi", 0).is_ok());
        drop((first, third));

        assert_eq!(total(&in_flight), 0);
        assert!(in_flight.held().users.is_empty());
    }

    #[test]
    fn resize_beyond_the_limit_is_never_rejected() {
        let in_flight = InFlight::default();
        let mut reservation = in_flight.try_reserve("ana", MIB).unwrap();
        reservation.resize(2 * MAX_PER_USER);
        assert_eq!(total(&in_flight), 2 * MAX_PER_USER);
        reservation.resize(0);
        assert_eq!(total(&in_flight), 0);
        assert!(in_flight.try_reserve("ana", MAX_PER_USER).is_ok());
    }

    #[test]
    fn try_resize_beyond_the_limit_changes_nothing() {
        let in_flight = InFlight::default();
        let mut reservation = in_flight.try_reserve("ana", 0).unwrap();
        for bytes in [MIB, MAX_PER_USER, 2 * MIB] {
            reservation.try_resize(bytes).unwrap();
            assert_eq!(total(&in_flight), bytes);
        }
        let _other = in_flight.try_reserve("ana", MIB).unwrap();
        assert_eq!(reservation.try_resize(MAX_PER_USER), Err(RequestRejection::Overloaded));
        assert_eq!(total(&in_flight), 3 * MIB);
    }

    #[actix_web::test]
    async fn size_over_the_limit_of_a_user_is_too_large_and_holds_nothing() {
        let in_flight = InFlight::default();
        let too_large = RequestRejection::ResponseTooLarge;
        assert_eq!(in_flight.try_reserve("ana", MAX_PER_USER + 1).unwrap_err(), too_large);
        assert_eq!(in_flight.reserve("ana", usize::MAX).await.unwrap_err(), too_large);
        let mut reservation = in_flight.try_reserve("ana", MIB).unwrap();
        assert_eq!(reservation.try_resize(MAX_PER_USER + 1), Err(too_large));
        assert_eq!((total(&in_flight), in_flight.metrics().1.get()), (MIB, 0));
        drop(reservation);
        assert!(in_flight.held().users.is_empty());
    }

    #[actix_web::test]
    async fn reserve_waits_for_memory_and_times_out() {
        let in_flight = InFlight::default();
        let held = in_flight.try_reserve("ana", MAX_PER_USER).unwrap();
        let began = Instant::now();
        assert_eq!(in_flight.reserve("ana", 1).await.unwrap_err(), RequestRejection::Overloaded);
        assert!(MAX_WAIT <= began.elapsed());

        let waiting = in_flight.clone();
        let waiting = actix_web::rt::spawn(async move { waiting.reserve("ana", MIB).await.map(|held| held.bytes) });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waiting.await.unwrap(), Ok(MIB));
    }

    #[test]
    fn cost_of_a_small_body_is_zero_and_of_a_stream_is_constant() {
        let cases = [(Some(0), 0), (Some(16 * 1024), 0), (Some(16 * 1024 + 1), 16 * 1024 + 1), (None, STREAM)];
        for (size, expected) in cases {
            assert_eq!(cost(size), expected, "{size:?}");
        }
    }
}
