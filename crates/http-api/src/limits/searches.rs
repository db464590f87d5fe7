//! The limit of concurrent searches per user. A search reads every row, so one user could otherwise occupy all database
//! connections for searches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use domain::{Batches, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::RequestRejection;

/// Concurrent searches per user: the next one while the previous one still runs.
const PER_USER: usize = 2;
/// The maximum time that a search waits for a permit.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Idle users are removed if there are more of them.
const MAX_IDLE_USERS: usize = 1000;

/// The running searches of all users.
#[derive(Debug, Default)]
pub struct Searches(Mutex<HashMap<String, Weak<Semaphore>>>);

impl Searches {
    /// Waits until `user` may run another search. The search ends when the permit is dropped. Any other query needs no
    /// permit.
    ///
    /// # Errors
    /// `Overloaded` after 5 s.
    pub async fn admit(&self, user: &str, is_search: bool) -> Result<Option<OwnedSemaphorePermit>, RequestRejection> {
        if !is_search {
            return Ok(None);
        }
        let permit = timeout(MAX_WAIT, self.of_user(user).acquire_owned()).await;
        permit.ok().and_then(Result::ok).map(Some).ok_or(RequestRejection::Overloaded)
    }

    fn of_user(&self, user: &str) -> Arc<Semaphore> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = users.get(user).and_then(Weak::upgrade) {
            return known;
        }
        if MAX_IDLE_USERS <= users.len() {
            users.retain(|_, searches| 0 < searches.strong_count());
        }
        let new = Arc::new(Semaphore::new(PER_USER));
        users.insert(user.to_owned(), Arc::downgrade(&new));
        new
    }
}

/// A list that holds the permit of its search until its last batch, because each batch searches again.
pub struct Admitted<B> {
    /// The list.
    pub batches: B,
    /// The permit.
    pub search: Option<OwnedSemaphorePermit>,
}

impl<B: Batches> Batches for Admitted<B> {
    type Row = B::Row;

    async fn next(&mut self) -> Result<Option<Vec<B::Row>>, Error> {
        let next = self.batches.next().await;
        if !self.batches.has_more() {
            self.search = None;
        }
        next
    }

    fn has_more(&self) -> bool {
        self.batches.has_more()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn third_search_of_a_user_waits_for_one_of_the_first_two() {
        let searches = Searches::default();
        let first = searches.admit("ana", true).await.unwrap();
        let second = searches.admit("ana", true).await.unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(searches.admit("bia", true).await.unwrap().is_some(), "another user waits for nothing");
        assert!(searches.admit("ana", false).await.unwrap().is_none(), "a list is no search");

        assert_eq!(searches.admit("ana", true).await.unwrap_err(), RequestRejection::Overloaded);
        drop(first);
        assert!(searches.admit("ana", true).await.is_ok());
    }

    #[actix_web::test]
    async fn list_holds_the_permit_until_its_last_batch() {
        let searches = Searches::default();
        let _other = searches.admit("ana", true).await.unwrap();
        let search = searches.admit("ana", true).await.unwrap();
        let mut list = Admitted { batches: TwoBatches(2), search };

        assert_eq!(list.next().await.unwrap(), Some(vec![1]));
        assert!(searches.admit("ana", true).await.is_err(), "the list goes on");
        assert_eq!((list.next().await.unwrap(), list.has_more()), (Some(vec![0]), false));
        assert!(searches.admit("ana", true).await.is_ok());
    }

    struct TwoBatches(u8);

    impl Batches for TwoBatches {
        type Row = u8;

        async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
            self.0 -= 1;
            Ok(Some(vec![self.0]))
        }

        fn has_more(&self) -> bool {
            0 < self.0
        }
    }

    #[actix_web::test]
    async fn users_without_searches_are_removed() {
        let searches = Searches::default();
        let _running = searches.admit("ana", true).await.unwrap();
        for user in 0..=MAX_IDLE_USERS {
            drop(searches.admit(&user.to_string(), true).await.unwrap());
        }
        let users = searches.0.lock().unwrap();
        assert!(users.len() < 10 && users.contains_key("ana"), "{} users", users.len());
    }
}
