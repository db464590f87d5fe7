//! The adapter: implements the ports over one client.

mod work_item_writer;
mod work_items;

pub use work_item_writer::AzureWorkItemWriter;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Caller, Clock, Credential, DeletionEvidence, Error, IdentityProvider, ProjectDirectory,
    ProjectList, RemoteProjeto, SharedIdentities, Usuario,
};
use prometheus_client::registry::Registry;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::client::{self, Upstream, UserBulkheads, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, Fingerprints, PresentedCredential, Scheme};
use crate::directory::{Directory, Principal, Project, project_id};
use crate::error::{AzureError, Rejection};
use crate::identity::{AppTokens, Identities, Members, Source};
use crate::service_url::{OrgUrl, ServiceUrl};
use crate::work_item::WorkItems;

/// Identity provider and directories of projects and work items over Azure DevOps. Clones share caches and connections.
///
/// An app token names a user but no organisation. It is accepted only together with an access token of the same user
/// that the organisation accepts; that access token also serves the calls to Azure DevOps. If
/// [`AzureConfig::members_pat`] is set, an app token alone authenticates an active member of the organisation, whose
/// calls to Azure DevOps return `Forbidden`.
#[derive(Clone)]
pub struct AzureDevOps(Arc<Inner>);

struct Inner {
    upstream: Arc<Upstream>,
    identities: Identities,
    members: Option<Members>,
    directory: Option<Directory>,
    work_items: Option<WorkItems>,
    app_tokens: AppTokens,
    fingerprints: Fingerprints,
    clock: Arc<dyn Clock>,
    identity_age: Duration,
}

/// The user that a credential stands for, before verification.
enum Subject {
    /// The user whom Azure DevOps returns for this credential.
    CredentialOwner(PresentedCredential),
    /// The user of a valid app token, to be confirmed by `access`.
    AppUser { nameid: Uuid, access: PresentedCredential },
    /// The user of a valid app token, to be confirmed as a member of the organisation.
    Member { id: Uuid, user: Fingerprint },
}

impl AzureDevOps {
    /// Builds the adapter. `clock` decides about the expiry of tokens. `shared` has the identities that other replicas have
    /// looked up.
    ///
    /// # Errors
    /// `Internal` if TLS is unavailable: no root certificates or no random number generator.
    pub fn new(
        config: &AzureConfig,
        clock: Arc<dyn Clock>,
        shared: Option<Arc<dyn SharedIdentities>>,
    ) -> Result<Self, Error> {
        let org = config.org_url.as_ref().map(OrgUrl::service);
        let source = Source::from_config(config)?;
        let base = source.base();
        let upstream = Arc::new(Upstream::new(config, base.is_loopback())?);
        let fingerprints = Fingerprints::new(base.as_str())?;
        let members = config.org_url.as_ref().and_then(OrgUrl::members).zip(config.members_pat.clone());
        let members = members.map(|(base, pat)| {
            let pat = PresentedCredential::from_credential(&Credential::Basic { pat }, &fingerprints);
            Members::new(config, base, pat, Arc::clone(&upstream))
        });
        let users = Arc::new(UserBulkheads::new(config));
        let new_directory =
            |org: &ServiceUrl| Directory::new(config, org.clone(), Arc::clone(&upstream), Arc::clone(&users));
        let new_work_items =
            |org: &ServiceUrl| WorkItems::new(config, org.clone(), Arc::clone(&upstream), Arc::clone(&users));
        let identities = Identities::new(config, source, Arc::clone(&upstream), Arc::clone(&clock), shared);
        Ok(Self(Arc::new(Inner {
            fingerprints,
            members,
            app_tokens: AppTokens::new(&config.extension_app_keys),
            directory: org.map(new_directory),
            work_items: org.map(new_work_items),
            identities,
            upstream,
            clock,
            identity_age: config.listing_identity_age,
        })))
    }

    /// Checks that `pat` may read the members of the organisation, by looking up its own user.
    ///
    /// # Errors
    /// Those of [`IdentityProvider::authenticate`].
    pub async fn check_members(&self, pat: Credential) -> Result<(), Error> {
        let user = self.authenticate(Some(pat)).await?.usuario;
        let id = Uuid::parse_str(&user.id).map_err(Error::internal)?;
        self.0.member(id, self.0.user_fingerprint(id)).await?;
        Ok(())
    }

    /// Registers the metrics of the adapter.
    pub fn register(&self, registry: &mut Registry) {
        client::register(registry, Arc::clone(&self.0.upstream));
    }
}

#[async_trait]
impl IdentityProvider for AzureDevOps {
    async fn authenticate(&self, credential: Option<Credential>) -> Result<Caller, Error> {
        let credential = credential.ok_or(Error::CredentialMissing)?;
        let (usuario, _) = self.0.identify(&credential, Duration::MAX).await?;
        Ok(Caller { usuario, credential: Some(credential) })
    }

    fn recently_accepted(&self, credential: &Credential) -> bool {
        let recently_accepted = self.0.identities.recently_accepted();
        self.0.subject(credential).is_ok_and(|subject| match subject {
            // Not the user of an app token, whose access token may be forged.
            Subject::CredentialOwner(presented) | Subject::AppUser { access: presented, .. } => {
                recently_accepted.contains(presented.fingerprint)
            }
            Subject::Member { user, .. } => recently_accepted.contains(user),
        })
    }
}

#[async_trait]
impl ProjectDirectory for AzureDevOps {
    async fn list(&self, credential: Credential) -> Result<ProjectList, Error> {
        let mut list = ProjectList::default();
        // `into_iter` frees the raw JSON of each project after parsing.
        for raw in self.0.list(&credential, self.0.identity_age).await? {
            match json::read::<Project>(raw.get().as_bytes()).and_then(Project::into_domain) {
                Ok(project) => list.projects.push(project),
                Err(error) => {
                    let id = project_id(&raw).ok();
                    tracing::warn!(id = id.map(tracing::field::display), ?error, "skipping an unreadable project");
                    list.failed.push(id);
                }
            }
        }
        Ok(list)
    }

    async fn list_raw(&self, credential: Credential) -> Result<Vec<String>, Error> {
        let projects = self.0.list(&credential, Duration::MAX).await?;
        Ok(projects.into_iter().map(|project| Box::<str>::from(project).into_string()).collect())
    }

    async fn find(&self, credential: Credential, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Error> {
        let directory = self.0.directory()?;
        let principal = self.0.principal(&credential, Duration::MAX).await?;
        let found = directory.find(&principal, id).await;
        Ok(self.0.deny_after_identity(&principal, found).await?)
    }

    async fn confirm_deleted(
        &self,
        credential: Credential,
        ids: Vec<AzureProjectId>,
        evidence: DeletionEvidence,
    ) -> Vec<AzureProjectId> {
        match self.0.confirm_deleted(&credential, ids, evidence).await {
            Ok(deleted) => deleted,
            Err(error) => {
                tracing::warn!(%error, "cannot confirm which unlisted projects are deleted");
                Vec::new()
            }
        }
    }
}

impl Inner {
    /// Returns the user of `credential`, verified within `max_age`, and the credential for calls to Azure DevOps.
    async fn identify(
        &self,
        credential: &Credential,
        max_age: Duration,
    ) -> Result<(Usuario, Option<(PresentedCredential, Scheme)>), AzureError> {
        match self.subject(credential)? {
            Subject::CredentialOwner(presented) => {
                let identity = self.identities.identify_within(&presented, max_age).await?;
                Ok((identity.usuario, Some((presented, identity.scheme))))
            }
            Subject::AppUser { nameid, access } => {
                let identity = self.identities.identify_within(&access, max_age).await?;
                if identity.usuario.id != nameid.to_string() {
                    return Err(AzureError::Rejected(Rejection::NotConfirmed));
                }
                self.identities.recently_accepted().insert(self.user_fingerprint(nameid)).await;
                Ok((identity.usuario, Some((access, identity.scheme))))
            }
            Subject::Member { id, user } => Ok((self.member(id, user).await?, None)),
        }
    }

    async fn member(&self, id: Uuid, user: Fingerprint) -> Result<Usuario, AzureError> {
        let members = self.members.as_ref().ok_or(AzureError::Rejected(Rejection::NotConfirmed))?;
        members.find(id, user, self.identities.recently_accepted()).await
    }

    fn user_fingerprint(&self, id: Uuid) -> Fingerprint {
        self.fingerprints.of("user", &id.to_string().into())
    }

    async fn list(&self, credential: &Credential, max_age: Duration) -> Result<Vec<Box<RawValue>>, AzureError> {
        let directory = self.directory()?;
        let principal = self.principal(credential, max_age).await?;
        let listed = directory.list(&principal).await;
        self.deny_after_identity(&principal, listed).await
    }

    /// The identity must be as recent as for a list, because an anonymous caller sees no private projects.
    async fn confirm_deleted(
        &self,
        credential: &Credential,
        ids: Vec<AzureProjectId>,
        evidence: DeletionEvidence,
    ) -> Result<Vec<AzureProjectId>, Error> {
        let directory = self.directory()?;
        let principal = self.principal(credential, self.identity_age).await?;
        Ok(match evidence {
            DeletionEvidence::NotFound => directory.look_up_deleted(&principal, ids).await?,
            DeletionEvidence::ListedAsDeleted => directory.listed_as_deleted(&principal, ids).await?,
        })
    }

    fn directory(&self) -> Result<&Directory, AzureError> {
        self.directory.as_ref().ok_or(AzureError::NoOrganisation)
    }

    /// Returns the user of `credential`, verified within `max_age`, for queries to the directory.
    async fn principal(&self, credential: &Credential, max_age: Duration) -> Result<Principal, AzureError> {
        let (usuario, presented) = self.identify(credential, max_age).await?;
        let (credential, scheme) = presented.ok_or(AzureError::Forbidden)?;
        Ok(Principal { credential, scheme, user_id: usuario.id })
    }

    /// Converts a rejection to `Forbidden`: after a successful identification, a 401 means that a scope is missing.
    ///
    /// Because the token may also have been revoked in the meantime, its cached identity is removed.
    async fn deny_after_identity<T>(
        &self,
        principal: &Principal,
        result: Result<T, AzureError>,
    ) -> Result<T, AzureError> {
        match result {
            Err(AzureError::Rejected(_)) => {
                self.identities.forget(&principal.credential).await;
                Err(AzureError::Forbidden)
            }
            other => other,
        }
    }

    fn subject(&self, credential: &Credential) -> Result<Subject, AzureError> {
        match credential {
            Credential::Bearer { token, azure_access_token } if self.app_tokens.is_app_token(token) => {
                let nameid = self
                    .app_tokens
                    .verify(token, self.clock.now())
                    .ok_or(AzureError::Rejected(Rejection::NotConfirmed))?;
                let user = self.user_fingerprint(nameid);
                match azure_access_token {
                    None if self.members.is_some() => Ok(Subject::Member { id: nameid, user }),
                    // The profile service has other user ids than an organisation, so it cannot confirm the user.
                    Some(access) if self.directory.is_some() => {
                        let access = PresentedCredential {
                            user: Some(user),
                            ..PresentedCredential::from_token(access, &self.fingerprints)
                        };
                        Ok(Subject::AppUser { nameid, access })
                    }
                    _ => Err(AzureError::Rejected(Rejection::NotConfirmed)),
                }
            }
            _ => Ok(Subject::CredentialOwner(PresentedCredential::from_credential(credential, &self.fingerprints))),
        }
    }
}
