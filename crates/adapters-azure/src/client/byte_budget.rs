//! A bound of the bytes that responses in flight take together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::AzureError;

#[derive(Clone)]
pub(crate) struct ByteBudget(Arc<Semaphore>);

/// The bytes of one response, released on drop.
pub(crate) struct ReservedBytes {
    budget: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl ByteBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    pub(crate) fn reserve(&self) -> ReservedBytes {
        ReservedBytes { budget: Arc::clone(&self.0), permit: None }
    }
}

impl ReservedBytes {
    /// Adds `bytes` without waiting: responses that wait for each other would never end.
    ///
    /// # Errors
    /// `Overloaded` if the responses in flight take everything.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), AzureError> {
        let overloaded = || AzureError::overloaded("the responses of Azure DevOps in flight are too large");
        let permits = u32::try_from(bytes).map_err(|_| overloaded())?;
        let more = Arc::clone(&self.budget).try_acquire_many_owned(permits).map_err(|_| overloaded())?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_share_the_bytes_and_return_them() {
        let budget = ByteBudget::new(100);
        let (mut one, mut other) = (budget.reserve(), budget.reserve());

        one.grow(40).unwrap();
        one.grow(20).unwrap();
        other.grow(40).unwrap();
        assert!(matches!(other.grow(1), Err(AzureError::Overloaded { .. })));

        drop(one);
        other.grow(60).unwrap();
        assert!(matches!(budget.reserve().grow(usize::MAX), Err(AzureError::Overloaded { .. })));
    }
}
