//! How many searches one user runs at once. A search reads every row, so one user could otherwise occupy all connections
//! that the database adapter keeps for searches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use domain::AtividadeQuery;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::Refusal;

/// Searches of one user at once: what a person types while the search before still runs.
const PER_USER: usize = 2;
/// How long a search waits for those before it.
const WAIT: Duration = Duration::from_secs(5);
/// Users that are forgotten only when there are more of them.
const MAX_IDLE_USERS: usize = 1000;

/// The searches of all users.
#[derive(Debug, Default)]
pub struct Searches(Mutex<HashMap<String, Weak<Semaphore>>>);

impl Searches {
    /// Waits until `user` may run `query`, if that is a search. The search ends when the permit is dropped.
    ///
    /// # Errors
    /// `Overloaded` when that takes longer than 5 s.
    pub async fn admit(&self, user: &str, query: &AtividadeQuery) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if !query.is_search() {
            return Ok(None);
        }
        let permit = timeout(WAIT, self.of(user).acquire_owned()).await;
        permit.ok().and_then(Result::ok).map(Some).ok_or(Refusal::Overloaded)
    }

    fn of(&self, user: &str) -> Arc<Semaphore> {
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

#[cfg(test)]
mod tests {
    use domain::{AtividadeFiltro, Busca};

    use super::*;

    fn search() -> AtividadeQuery {
        let filtro = AtividadeFiltro { texto: Some(Busca::parse("a").unwrap()), ..AtividadeFiltro::default() };
        AtividadeQuery { filtro, ..AtividadeQuery::default() }
    }

    #[actix_web::test]
    async fn third_search_of_a_user_waits_for_one_of_the_first_two() {
        let searches = Searches::default();
        let first = searches.admit("ana", &search()).await.unwrap();
        let second = searches.admit("ana", &search()).await.unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(searches.admit("bia", &search()).await.unwrap().is_some(), "another user waits for nothing");
        assert!(searches.admit("ana", &AtividadeQuery::default()).await.unwrap().is_none(), "a list is no search");

        assert_eq!(searches.admit("ana", &search()).await.unwrap_err(), Refusal::Overloaded);
        drop(first);
        assert!(searches.admit("ana", &search()).await.is_ok());
    }

    #[actix_web::test]
    async fn users_without_searches_are_forgotten() {
        let searches = Searches::default();
        let _running = searches.admit("ana", &search()).await.unwrap();
        for user in 0..=MAX_IDLE_USERS {
            drop(searches.admit(&user.to_string(), &search()).await.unwrap());
        }
        let users = searches.0.lock().unwrap();
        assert!(users.len() < 10 && users.contains_key("ana"), "{} users", users.len());
    }
}
