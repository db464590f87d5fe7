//! The places for connections, and the lines of those who wait for one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Lease, Use};
use crate::connection::Connection;

/// How many statements one connection takes at once. A backend works on one of them, so more would only wait there
/// instead of here.
const DEPTH: usize = 16;
/// So many share a connection before another one is used: what is sent together costs one call of the system on either
/// side, and a backend that has the next statement at hand does not go to sleep in between.
const TOGETHER: usize = 8;
/// A connection that was idle for so long is asked before it is used: firewalls forget quiet connections in minutes.
const IDLE: Duration = Duration::from_secs(10);
/// For so long after a break the connections that are older than it are asked; by then those that nobody used are idle.
/// After a restart of the database one request meets a broken connection, and not one for each.
const AFTERMATH: Duration = Duration::from_mins(1);
/// So old a connection is replaced by a new one: a backend keeps what it has once taken of memory.
const LIFETIME: Duration = Duration::from_mins(30);

/// Which connections there are, how each is used, and who waits.
#[derive(Default)]
pub(super) struct State {
    pub(super) slots: Vec<Slot>,
    pub(super) shared: VecDeque<Waiter>,
    pub(super) alone: VecDeque<Waiter>,
    arrivals: u64,
    pub(super) last_break: Option<Instant>,
    pub(super) is_closed: bool,
}

/// A place for a connection.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) connection: Option<Arc<Connection>>,
    /// How many use it.
    pub(super) users: usize,
    /// Whether its only user has it alone.
    pub(super) is_taken: bool,
    /// Whether it is for the next one who wants one alone, as soon as nobody uses it.
    is_reserved: bool,
    pub(super) used: Option<Instant>,
}

pub(super) struct Waiter {
    arrival: u64,
    pub(super) grant: oneshot::Sender<Lease>,
}

/// What is given to whoever may use a connection.
pub(super) struct Place {
    pub(super) slot: usize,
    /// None where it has still to be made.
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) is_alone: bool,
}

impl State {
    /// Room for so many connections.
    pub(super) fn new(size: u32) -> Self {
        Self { slots: (0..size).map(|_| Slot::default()).collect(), ..Self::default() }
    }

    pub(super) fn line(&mut self, wanted: Use) -> &mut VecDeque<Waiter> {
        match wanted {
            Use::Shared => &mut self.shared,
            Use::Alone => &mut self.alone,
        }
    }

    /// The end of a line, and where the one in it is told.
    pub(super) fn queue(&mut self, wanted: Use) -> oneshot::Receiver<Lease> {
        let (grant, granted) = oneshot::channel();
        self.arrivals += 1;
        let arrival = self.arrivals;
        self.line(wanted).push_back(Waiter { arrival, grant });
        self.reserve();
        granted
    }

    /// Whether `connection` has to be asked before it is used.
    pub(super) fn doubts(&self, connection: &Connection, used: Option<Instant>) -> bool {
        let since = self.last_break.map(|at| at.elapsed()).filter(|since| *since < AFTERMATH);
        used.is_none_or(|used| IDLE <= used.elapsed()) || since.is_some_and(|since| since <= connection.age())
    }

    /// A place for one who wants it so, if there is one. Who shares one that has still to be made or asked has it alone
    /// until that is done.
    pub(super) fn take(&mut self, wanted: Use) -> Option<Place> {
        for slot in self.slots.iter_mut().filter(|slot| slot.users == 0) {
            slot.connection.take_if(|connection| connection.is_broken() || LIFETIME <= connection.age());
        }
        let free = |slot: &Slot| !slot.is_taken && !slot.is_reserved;
        let open = self.slots.iter().enumerate().filter(|(_, slot)| {
            free(slot) && slot.connection.as_ref().is_some_and(|connection| !connection.is_broken())
        });
        let open = match wanted {
            Use::Shared => open.filter(|(_, slot)| slot.users < DEPTH).min_by_key(|(_, slot)| crowd(slot.users)),
            Use::Alone => open.filter(|(_, slot)| slot.users == 0).min_by_key(|(at, _)| *at),
        };
        let open = open.map(|(at, slot)| (at, slot.users));
        let unopened = || self.slots.iter().position(|slot| free(slot) && slot.users == 0 && slot.connection.is_none());
        let at = match open {
            Some((at, users)) if users < TOGETHER => at,
            Some((at, _)) => unopened().unwrap_or(at),
            None => unopened()?,
        };
        let connection = self.slots.get(at)?.connection.clone();
        let used = self.slots.get(at)?.used;
        let is_sure = connection.as_ref().is_some_and(|connection| !self.doubts(connection, used));
        let slot = self.slots.get_mut(at)?;
        let is_alone = wanted == Use::Alone || (slot.users == 0 && !is_sure);
        slot.users += 1;
        slot.is_taken = is_alone;
        Some(Place { slot: at, connection, is_alone })
    }

    /// Who can go on now, in the order of arrival.
    pub(super) fn grant(&mut self) -> Vec<(Place, Waiter)> {
        let mut granted = Vec::new();
        self.forget_who_left_first();
        while let Some(place) = self.next() {
            granted.push(place);
            self.forget_who_left_first();
        }
        self.reserve();
        granted
    }

    fn next(&mut self) -> Option<(Place, Waiter)> {
        if self.alone.is_empty() && self.shared.is_empty() {
            return None;
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_reserved && slot.users == 0) {
            slot.is_reserved = false;
            if !self.alone.is_empty() {
                return self.serve(Use::Alone);
            }
        }
        let arrival = |line: &VecDeque<Waiter>| line.front().map_or(u64::MAX, |waiter| waiter.arrival);
        let (first, second) = if arrival(&self.alone) < arrival(&self.shared) {
            (Use::Alone, Use::Shared)
        } else {
            (Use::Shared, Use::Alone)
        };
        self.serve(first).or_else(|| self.serve(second))
    }

    fn serve(&mut self, wanted: Use) -> Option<(Place, Waiter)> {
        if self.line(wanted).is_empty() {
            return None;
        }
        let place = self.take(wanted)?;
        self.line(wanted).pop_front().map(|waiter| (place, waiter))
    }

    /// Sees to it that one who wants a connection alone gets one, although others go on sharing them.
    fn reserve(&mut self) {
        if self.alone.is_empty() {
            self.slots.iter_mut().for_each(|slot| slot.is_reserved = false);
        } else if !self.slots.iter().any(|slot| slot.is_reserved) {
            let shared = self.slots.iter_mut().filter(|slot| !slot.is_taken && 0 < slot.users);
            if let Some(slot) = shared.min_by_key(|slot| slot.users) {
                slot.is_reserved = true;
            }
        }
    }

    fn forget_who_left_first(&mut self) {
        for line in [&mut self.shared, &mut self.alone] {
            while line.front().is_some_and(|waiter| waiter.grant.is_closed()) {
                line.pop_front();
            }
        }
    }

    pub(super) fn forget_who_left(&mut self) {
        for line in [&mut self.shared, &mut self.alone] {
            line.retain(|waiter| !waiter.grant.is_closed());
        }
    }
}

/// How much is to be said against sharing a connection with so many: nothing but their number once they are many, and
/// before that the place that is left beside them.
const fn crowd(users: usize) -> (bool, usize) {
    if users < TOGETHER { (false, TOGETHER - users) } else { (true, users) }
}
