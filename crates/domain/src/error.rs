//! The ways in which something can fail: kinds for the code, English for the log, no status and no prose for users.

use std::time::Duration;

use uuid::Uuid;

use crate::{InvalidField, Violation};

/// What lies behind an error; it goes to the log and never to a client.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How a use case or a port fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No resource has that id.
    #[error("{resource:?} {id} not found")]
    NotFound {
        /// The kind of resource.
        resource: Resource,
        /// The id that was asked for.
        id: Uuid,
    },
    /// Values that are well-formed but break a rule of the world, for example a reference to nothing.
    #[error("invalid: {0:?}")]
    Invalid(Vec<InvalidField>),
    /// The state of things forbids it.
    #[error("conflict: {0:?}")]
    Conflict(Conflict),
    /// Somebody else changed it since the caller saw it.
    #[error("changed in the meantime")]
    Changed,
    /// The key of the request stands for another request.
    #[error("idempotency key reused")]
    KeyReused,
    /// The user has as many keys, or responses to them, as are kept of one user.
    #[error("too many idempotency keys")]
    TooManyKeys,
    /// The request carries no credential.
    #[error("no credential")]
    CredentialMissing,
    /// The credential belongs to nobody, or not any more.
    #[error("credential rejected")]
    CredentialRejected,
    /// The credential is a real user's, but it does not allow this.
    #[error("forbidden")]
    Forbidden,
    /// A service cannot be reached or is being protected: worth a retry.
    #[error("{service:?} unavailable")]
    Unavailable {
        /// The service that is missing.
        service: Service,
        /// When a retry makes sense, if the service said so.
        retry_after: Option<Duration>,
        /// What was seen.
        #[source]
        cause: Cause,
    },
    /// A service did not answer in time.
    #[error("{service:?} timed out")]
    TimedOut {
        /// The service that was too slow.
        service: Service,
        /// What was seen.
        #[source]
        cause: Cause,
    },
    /// A service answered with an error or with nonsense.
    #[error("{service:?} answered badly")]
    BadUpstream {
        /// The service that answered.
        service: Service,
        /// What was seen.
        #[source]
        cause: Cause,
    },
    /// A bug here.
    #[error("internal error")]
    Internal(#[source] Cause),
}

impl Error {
    /// One field that breaks one rule.
    #[must_use]
    pub fn invalid(field: &'static str, violation: Violation) -> Self {
        Self::Invalid(vec![InvalidField { item: None, field, violation }])
    }

    /// A bug here, told by `cause`.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// The same field of some items of a request that has many, each by its place, counted from 0.
    #[must_use]
    pub fn invalid_items(items: impl IntoIterator<Item = usize>, field: &'static str, violation: Violation) -> Self {
        Self::Invalid(items.into_iter().map(|item| InvalidField { item: Some(item), field, violation }).collect())
    }

    /// What went wrong with many items of which there is one: it has no place of its own.
    #[must_use]
    pub fn of_one(self) -> Self {
        match self {
            Self::Invalid(fields) => {
                Self::Invalid(fields.into_iter().map(|field| InvalidField { item: None, ..field }).collect())
            }
            other => other,
        }
    }

    /// Whether this says that `id_projeto` names no projeto.
    #[must_use]
    pub fn is_unknown_projeto(&self) -> bool {
        matches!(self, Self::Invalid(fields) if fields.iter().any(|f| f.violation == Violation::UnknownProjeto))
    }
}

/// The kinds of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// An [`crate::Atividade`].
    Atividade,
    /// A [`crate::Projeto`].
    Projeto,
}

/// Why the state of things forbids an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The projeto still has atividades, so it cannot be deleted.
    ProjetoComAtividades,
    /// The projeto belongs to Azure DevOps, so it is read-only here.
    ProjetoDoAzure,
    /// No Azure DevOps organisation is configured, so there is nothing to ask.
    SemOrganizacao,
}

/// The services that this one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The database.
    Database,
    /// Azure DevOps.
    AzureDevOps,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_has_no_place_in_a_list() {
        let faults = Error::invalid_items([3], "nome", Violation::ContainsNul).of_one();
        assert!(
            matches!(&faults, Error::Invalid(fields) if fields.iter().all(|fault| fault.item.is_none() && fault.field == "nome"))
        );
        assert!(!faults.is_unknown_projeto());
        assert!(matches!(Error::KeyReused.of_one(), Error::KeyReused));
    }
}
