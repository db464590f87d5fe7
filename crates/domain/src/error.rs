//! Kinds of errors. `Display` is English, for the log; status codes and texts for users belong to the HTTP layer.

use std::time::Duration;

use uuid::Uuid;

use crate::{InvalidField, Refusal, Violation};

/// The cause of an error. It is logged and never sent to a client.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The error of a use case or a port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No resource has that id.
    #[error("{resource:?} {id} not found")]
    NotFound {
        /// The kind of resource.
        resource: Resource,
        /// The requested id.
        id: Uuid,
    },
    /// Well-formed values that violate a rule, for example a reference to a missing row.
    #[error("invalid: {0:?}")]
    Invalid(Vec<InvalidField>),
    /// Well-formed references to resources that do not exist.
    #[error("unknown references: {0:?}")]
    UnknownReferences(Vec<UnknownReference>),
    /// The current state does not allow the operation.
    #[error("conflict: {0:?}")]
    Conflict(Conflict),
    /// A rule of time entries does not allow the operation.
    #[error("refused: {0:?}")]
    Refused(Vec<Refusal>),
    /// The resource has another version than the caller expects.
    #[error("version mismatch")]
    VersionMismatch,
    /// The idempotency key was already used for another request.
    #[error("idempotency key reused")]
    IdempotencyKeyReused,
    /// The user has the largest number or size of stored idempotency keys.
    #[error("too many idempotency keys")]
    TooManyIdempotencyKeys,
    /// The request has no credential.
    #[error("no credential")]
    CredentialMissing,
    /// The credential is invalid, revoked or expired.
    #[error("credential rejected")]
    CredentialRejected,
    /// The credential is valid but lacks a permission.
    #[error("forbidden")]
    Forbidden,
    /// A service cannot be reached, or asked to be spared further load. The client can retry.
    #[error("{service:?} unavailable")]
    Unavailable {
        /// The service.
        service: Service,
        /// The time to wait before a retry, if the service named one.
        retry_after: Option<Duration>,
        /// The underlying error.
        #[source]
        cause: Cause,
    },
    /// This service has as much of such work in hand as it takes. Nothing was done, whatever the state of other services.
    #[error("overloaded")]
    Overloaded {
        /// The time to wait before a retry.
        retry_after: Duration,
        /// What is exhausted.
        #[source]
        cause: Cause,
    },
    /// A service did not respond in time.
    #[error("{service:?} timed out")]
    TimedOut {
        /// The service.
        service: Service,
        /// The underlying error.
        #[source]
        cause: Cause,
    },
    /// A service returned an error or an invalid response.
    #[error("{service:?} returned an invalid response")]
    BadUpstream {
        /// The service.
        service: Service,
        /// The underlying error.
        #[source]
        cause: Cause,
    },
    /// A bug in this program.
    #[error("internal error")]
    Internal(#[source] Cause),
}

impl Error {
    /// Returns `Invalid` for one field.
    #[must_use]
    pub fn invalid(field: &'static str, violation: Violation) -> Self {
        Self::Invalid(vec![InvalidField { item: None, field, index: None, violation }])
    }

    /// Returns `Internal` with `cause`.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// Returns `Invalid` for the same field of several items. The indices count from 0.
    #[must_use]
    pub fn invalid_items(items: impl IntoIterator<Item = usize>, field: &'static str, violation: Violation) -> Self {
        Self::Invalid(
            items.into_iter().map(|item| InvalidField { item: Some(item), field, index: None, violation }).collect(),
        )
    }

    /// Removes the item indices, for a request with a single item.
    #[must_use]
    pub fn without_item_index(self) -> Self {
        match self {
            Self::Invalid(fields) => {
                Self::Invalid(fields.into_iter().map(|field| InvalidField { item: None, ..field }).collect())
            }
            Self::Refused(refusals) => {
                Self::Refused(refusals.into_iter().map(|refusal| Refusal { item: None, ..refusal }).collect())
            }
            Self::UnknownReferences(all) => {
                Self::UnknownReferences(all.into_iter().map(|one| UnknownReference { item: None, ..one }).collect())
            }
            other => other,
        }
    }

    /// Returns whether a field refers to a projeto that does not exist.
    #[must_use]
    pub fn is_unknown_projeto(&self) -> bool {
        matches!(self, Self::Invalid(fields) if fields.iter().any(|f| f.violation == Violation::UnknownProjeto))
    }
}

/// A field of a request that refers to a resource that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownReference {
    /// The index of its item, counted from 0, if the request has many.
    pub item: Option<usize>,
    /// The name of the field in the API, for example `id_projeto`.
    pub field: &'static str,
    /// The index in that field, counted from 0, if the field is a list.
    pub index: Option<usize>,
    /// The kind of resource.
    pub resource: Resource,
    /// The id that no resource has.
    pub id: Uuid,
}

/// The kinds of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// An [`crate::Apontamento`].
    Apontamento,
    /// An [`crate::Atividade`].
    Atividade,
    /// A [`crate::Projeto`].
    Projeto,
}

/// The reasons for which the current state does not allow an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The atividade has time entries, so it cannot be deleted.
    AtividadeComApontamentos,
    /// The projeto still has time entries, so it cannot be deleted.
    ProjetoComApontamentos,
    /// The projeto still has atividades, so it cannot be deleted.
    ProjetoComAtividades,
    /// The projeto belongs to Azure DevOps, so it is read-only.
    ProjetoDoAzure,
    /// No Azure DevOps organisation or credential is configured.
    SemOrganizacao,
    /// This deployment does not write hours to Azure DevOps.
    EscritaDesligada,
}

/// The services that this service depends on.
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
    fn without_item_index_removes_indices_only() {
        let error = Error::invalid_items([3], "nome", Violation::ContainsNul).without_item_index();
        let expected = InvalidField { item: None, field: "nome", index: None, violation: Violation::ContainsNul };
        assert!(matches!(&error, Error::Invalid(fields) if *fields == [expected]));
        assert!(!error.is_unknown_projeto());
        assert!(matches!(Error::IdempotencyKeyReused.without_item_index(), Error::IdempotencyKeyReused));
    }
}
