//! The adapter: both ports over one way to Azure.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AzureProjectId, Caller, Clock, Credential, Error, IdentityProvider, ProjectDirectory, RemoteProjeto, Usuario,
};
use prometheus_client::registry::Registry;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::client::{self, Upstream, json};
use crate::config::AzureConfig;
use crate::credential::{Fingerprint, Fingerprints, Scheme, Shown};
use crate::directory::{Asker, Directory, Project};
use crate::error::Failure;
use crate::identity::{AppTokens, Identities, Members, Source};
use crate::service_url::{OrgUrl, ServiceUrl};

/// Azure DevOps, as it tells who is calling and which projects there are. Clones share everything.
///
/// An app token names a user but no organisation, so it signs nobody in by itself: an access token of the same user that
/// the organisation accepts must come with it. That access token also serves the calls to Azure. Where
/// [`AzureConfig::members_pat`] is set, an app token without one signs in active members of the organisation, for
/// everything but calls to Azure (`Forbidden`).
#[derive(Clone)]
pub struct AzureDevOps(Arc<Inner>);

struct Inner {
    upstream: Arc<Upstream>,
    identities: Identities,
    members: Option<Members>,
    directory: Option<Directory>,
    app_tokens: AppTokens,
    fingerprints: Fingerprints,
    clock: Arc<dyn Clock>,
    identity_age: Duration,
}

/// Who a credential says is calling.
enum Claimant {
    /// The one whom Azure returns for this credential.
    Unknown(Shown),
    /// The user of a valid app token, and the access token that has to prove it.
    AppUser { nameid: Uuid, access: Shown },
    /// The user of a valid app token who has to be a member of the organisation.
    Member { id: Uuid, user: Fingerprint },
}

impl AzureDevOps {
    /// The adapter for `config`; the time of `clock` decides about the expiry of tokens.
    ///
    /// # Errors
    /// `Internal` when there can be no TLS: the machine has no certificates of authorities, or no randomness.
    pub fn new(config: &AzureConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let org = config.org_url.as_ref().map(OrgUrl::service);
        let source = match (org, &config.profile_base_url) {
            (Some(org), _) => Source::Organisation(org.clone()),
            (None, Some(base)) => Source::Profile(base.clone()),
            (None, None) => Source::Profile(ServiceUrl::parse(AzureConfig::PROFILE_BASE_URL).map_err(Error::internal)?),
        };
        let base = source.base();
        let upstream = Arc::new(Upstream::new(config, base.is_loopback())?);
        let fingerprints = Fingerprints::new(base.as_str())?;
        let members = config.org_url.as_ref().and_then(OrgUrl::members).zip(config.members_pat.clone());
        let members = members.map(|(base, pat)| {
            let pat = Shown::from_credential(&Credential::Basic { pat }, &fingerprints);
            Members::new(config, base, pat, Arc::clone(&upstream))
        });
        Ok(Self(Arc::new(Inner {
            fingerprints,
            members,
            app_tokens: AppTokens::new(&config.extension_app_keys),
            directory: org.map(|org| Directory::new(config, org.clone(), Arc::clone(&upstream))),
            identities: Identities::new(config, source, Arc::clone(&upstream), Arc::clone(&clock)),
            upstream,
            clock,
            identity_age: config.listing_identity_age,
        })))
    }

    /// Whether the members of the organisation can be read with `pat`, whose own user is looked up among them.
    ///
    /// # Errors
    /// Those of [`IdentityProvider::authenticate`].
    pub async fn check_members(&self, pat: Credential) -> Result<(), Error> {
        let user = self.authenticate(Some(pat)).await?.usuario;
        let id = Uuid::parse_str(&user.id).map_err(Error::internal)?;
        self.0.member(id, self.0.user(id)).await?;
        Ok(())
    }

    /// Makes what is measured here part of `registry`.
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

    fn knows(&self, credential: &Credential) -> bool {
        let recent = self.0.identities.recent();
        self.0.claimant(credential).is_ok_and(|claimant| match claimant {
            // A user who was accepted proves nothing for a new access token: it may be made up.
            Claimant::Unknown(shown) | Claimant::AppUser { access: shown, .. } => recent.contains(shown.fingerprint),
            Claimant::Member { user, .. } => recent.contains(user),
        })
    }
}

#[async_trait]
impl ProjectDirectory for AzureDevOps {
    async fn list(&self, credential: Credential) -> Result<Vec<RemoteProjeto>, Error> {
        let projects = self.0.list(&credential, self.0.identity_age).await?;
        // Each is dropped as soon as it is read.
        let parsed = projects.into_iter().map(|raw| json::read::<Project>(raw.get().as_bytes())?.into_domain());
        Ok(parsed.collect::<Result<_, _>>()?)
    }

    async fn list_verbatim(&self, credential: Credential) -> Result<Vec<String>, Error> {
        let projects = self.0.list(&credential, Duration::MAX).await?;
        Ok(projects.into_iter().map(|project| Box::<str>::from(project).into_string()).collect())
    }

    async fn find(&self, credential: Credential, id: AzureProjectId) -> Result<Option<RemoteProjeto>, Error> {
        let directory = self.0.directory()?;
        let asker = self.0.asker(&credential, Duration::MAX).await?;
        let found = directory.find(&asker, id).await;
        Ok(self.0.after_good_identity(&asker, found).await?)
    }

    async fn gone(&self, credential: Credential, ids: Vec<AzureProjectId>) -> Vec<AzureProjectId> {
        match self.0.gone(&credential, ids).await {
            Ok(gone) => gone,
            Err(failure) => {
                tracing::warn!(%failure, "nobody can tell whether the projects that are missing are gone; they stay");
                Vec::new()
            }
        }
    }
}

impl Inner {
    /// The user behind `credential`, established not longer ago than `age`, and what serves their calls to Azure.
    async fn identify(
        &self,
        credential: &Credential,
        age: Duration,
    ) -> Result<(Usuario, Option<(Shown, Scheme)>), Failure> {
        match self.claimant(credential)? {
            Claimant::Unknown(shown) => {
                let known = self.identities.identify_within(&shown, age).await?;
                Ok((known.usuario, Some((shown, known.scheme))))
            }
            Claimant::AppUser { nameid, access } => {
                let known = self.identities.identify_within(&access, age).await?;
                if known.usuario.id != nameid.to_string() {
                    return Err(Failure::Rejected);
                }
                self.identities.recent().remember(self.user(nameid)).await;
                Ok((known.usuario, Some((access, known.scheme))))
            }
            Claimant::Member { id, user } => Ok((self.member(id, user).await?, None)),
        }
    }

    async fn member(&self, id: Uuid, user: Fingerprint) -> Result<Usuario, Failure> {
        let members = self.members.as_ref().ok_or(Failure::Rejected)?;
        members.find(id, user, self.identities.recent()).await
    }

    /// The fingerprint of a user, whatever they show.
    fn user(&self, id: Uuid) -> Fingerprint {
        self.fingerprints.of("user", &id.to_string().into())
    }

    async fn list(&self, credential: &Credential, age: Duration) -> Result<Vec<Box<RawValue>>, Failure> {
        let directory = self.directory()?;
        let asker = self.asker(credential, age).await?;
        let listed = directory.list(&asker).await;
        self.after_good_identity(&asker, listed).await
    }

    /// The caller is known not longer ago than for a list: a credential that is nobody's is shown nothing at all.
    async fn gone(&self, credential: &Credential, ids: Vec<AzureProjectId>) -> Result<Vec<AzureProjectId>, Error> {
        let directory = self.directory()?;
        let asker = self.asker(credential, self.identity_age).await?;
        Ok(directory.gone(&asker, ids).await?)
    }

    fn directory(&self) -> Result<&Directory, Failure> {
        self.directory.as_ref().ok_or(Failure::NoOrganisation)
    }

    /// The user whose projects are asked for, known not longer ago than `age`.
    async fn asker(&self, credential: &Credential, age: Duration) -> Result<Asker, Failure> {
        let (usuario, way) = self.identify(credential, age).await?;
        let (shown, scheme) = way.ok_or(Failure::Forbidden)?;
        Ok(Asker { shown, scheme, user: usuario.id })
    }

    /// Once Azure knows who is calling, a 401 says that the token lacks the scope. It may also have been revoked
    /// since, so Azure is asked again the next time.
    async fn after_good_identity<T>(&self, asker: &Asker, result: Result<T, Failure>) -> Result<T, Failure> {
        match result {
            Err(Failure::Rejected) => {
                self.identities.forget(&asker.shown).await;
                Err(Failure::Forbidden)
            }
            other => other,
        }
    }

    fn claimant(&self, credential: &Credential) -> Result<Claimant, Failure> {
        match credential {
            Credential::Bearer { token, azure_access_token } if self.app_tokens.concern(token) => {
                let nameid = self.app_tokens.verify(token, self.clock.now()).ok_or(Failure::Rejected)?;
                let user = self.user(nameid);
                match azure_access_token {
                    None if self.members.is_some() => Ok(Claimant::Member { id: nameid, user }),
                    // Ids of the profile service differ from those of an organisation, so there it cannot be proven.
                    Some(access) if self.directory.is_some() => {
                        let access = Shown { user: Some(user), ..Shown::from_token(access, &self.fingerprints) };
                        Ok(Claimant::AppUser { nameid, access })
                    }
                    _ => Err(Failure::Rejected),
                }
            }
            _ => Ok(Claimant::Unknown(Shown::from_credential(credential, &self.fingerprints))),
        }
    }
}

impl Source {
    fn base(&self) -> &ServiceUrl {
        match self {
            Self::Organisation(url) | Self::Profile(url) => url,
        }
    }
}
