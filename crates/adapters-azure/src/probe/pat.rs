//! The checks of the PAT of the service.

use std::sync::Arc;

use domain::{Clock, Credential, Error};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{PatStatus, Probe, Product, base_address};
use crate::azure_devops::AzureDevOps;
use crate::client::{Call, Traffic, Upstream, Version};
use crate::credential::{Fingerprints, PresentedCredential};
use crate::error::AzureError;
use crate::identity::{Identities, Source};

/// One project suffices to check the permission.
const MAX_BYTES: usize = 1024 * 1024;

impl Probe {
    /// Identifies the owner of `pat` and reads one project with it.
    pub async fn pat(&self, pat: SecretString, clock: Arc<dyn Clock>) -> PatStatus {
        match self.check_pat(pat, clock).await {
            Ok(status) => status,
            Err(AzureError::Rejected(rejection)) => PatStatus::Rejected(rejection),
            Err(AzureError::Moved(location)) => PatStatus::Moved(base_address(&location.to_string())),
            Err(AzureError::UnsupportedVersion(detail)) => PatStatus::UnsupportedVersion(detail.to_string()),
            Err(error) => PatStatus::Failed(error.into()),
        }
    }

    /// Checks that `pat` may read the members of the organisation, by looking up its own user.
    ///
    /// # Errors
    /// Those of [`AzureDevOps::check_members`].
    pub async fn members(&self, pat: SecretString, clock: Arc<dyn Clock>) -> Result<(), Error> {
        AzureDevOps::new(&self.config, clock, None)?.check_members(Credential::Basic { pat }).await
    }

    async fn check_pat(&self, pat: SecretString, clock: Arc<dyn Clock>) -> Result<PatStatus, AzureError> {
        let base = self.source.base();
        let internal = |error: Error| AzureError::invalid_response(error.to_string());
        let upstream = Arc::new(Upstream::new(&self.config, base.is_loopback()).map_err(internal)?);
        let fingerprints = Fingerprints::new(base.as_str()).map_err(internal)?;
        let credential = PresentedCredential::from_credential(&Credential::Basic { pat }, &fingerprints);
        let identities = Identities::new(&self.config, self.source.clone(), Arc::clone(&upstream), clock, None);
        let identity = identities.identify(&credential).await?;
        let Source::Organisation(org) = &self.source else {
            return Ok(PatStatus::Accepted(identity.usuario, Product::Services));
        };
        let call = Call {
            url_template: "/_apis/projects",
            url: org.at("/_apis/projects", &[("$top", "1")]),
            body: None,
            version: Version::Released,
            credential: &credential,
            scheme: identity.scheme,
            traffic: Traffic::Projects,
            max_bytes: MAX_BYTES,
            deadline: Instant::now() + self.config.timeouts.directory,
        };
        let projects = upstream.send(&call).await;
        let product = if identity.is_on_premises { Product::Server(upstream.version()) } else { Product::Services };
        match projects {
            Ok(_) => Ok(PatStatus::Accepted(identity.usuario, product)),
            Err(AzureError::Rejected(_) | AzureError::Forbidden) => Ok(PatStatus::ProjectsDenied(product)),
            Err(error) => Err(error),
        }
    }
}
