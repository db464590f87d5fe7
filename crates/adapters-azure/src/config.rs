//! The configuration of the adapter. Every default is meant for production; tests shorten the durations.

use std::time::Duration;

use secrecy::SecretString;

use crate::credential::AppKey;
use crate::service_url::{OrgUrl, ServiceUrl};

/// Configuration of `AzureDevOps`. Its `Debug` hides the keys.
#[derive(Debug, Clone)]
pub struct AzureConfig {
    /// The organisation. Without it, identities come from the global profile endpoint, which rejects tokens that are
    /// limited to one organisation, and there are no projects. Default: none.
    pub org_url: Option<OrgUrl>,
    /// Base address of the global profile endpoint; `None` means [`Self::PROFILE_BASE_URL`].
    pub profile_base_url: Option<ServiceUrl>,
    /// The keys that sign the app tokens of our extensions. Default: none, so every app token is rejected.
    pub extension_app_keys: Vec<AppKey>,
    /// PAT of the service for reading the members of the organisation. With it, an app token of an active member
    /// suffices to sign in. Default: none, so an app token needs an access token of the same user.
    pub members_pat: Option<SecretString>,
    /// How long a valid identity is cached, never beyond the `exp` of its token. Zero disables the cache.
    /// Default: 60 s.
    pub cache_ttl: Duration,
    /// How long a rejection is cached. Zero disables the cache. Default: 5 s.
    pub rejected_ttl: Duration,
    /// Maximum number of cached identities, and likewise of recently accepted, rejected and throttled credentials.
    /// Default: 10 000.
    pub cache_capacity: u64,
    /// Maximum age of the caller's cached identity for `ProjectDirectory::list`. Because in an organisation with public
    /// projects a revoked token still gets a partial list, whose missing projects must not count as deleted.
    /// Default: 5 s.
    pub listing_identity_age: Duration,
    /// Whether requests ask for a 401 instead of a redirect for a rejected credential. Some tenants with conditional
    /// access reject valid tokens in such requests. Default: true.
    pub suppress_sign_in_redirect: bool,
    /// Limits of concurrent calls.
    pub in_flight: InFlight,
    /// Projects per page. Default: 200.
    pub page_size: usize,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Retries of failed calls.
    pub retries: Retries,
    /// The circuit breakers.
    pub breaker: BreakerConfig,
    /// Returns the `traceparent` header of the current request, which calls forward. Default: none.
    pub traceparent: Option<fn() -> Option<String>>,
}

impl AzureConfig {
    /// The profile endpoint of Azure DevOps Services.
    pub const PROFILE_BASE_URL: &'static str = "https://app.vssps.visualstudio.com";
}

impl Default for AzureConfig {
    fn default() -> Self {
        Self {
            org_url: None,
            profile_base_url: None,
            extension_app_keys: Vec::new(),
            members_pat: None,
            cache_ttl: Duration::from_mins(1),
            rejected_ttl: Duration::from_secs(5),
            cache_capacity: 10_000,
            listing_identity_age: Duration::from_secs(5),
            suppress_sign_in_redirect: true,
            in_flight: InFlight::default(),
            page_size: 200,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            breaker: BreakerConfig::default(),
            traceparent: None,
        }
    }
}

/// Limits of concurrent calls to Azure DevOps, per cause, so that one kind of caller cannot block another. Up to 16
/// times as many calls queue; further calls fail immediately.
#[derive(Debug, Clone, Copy)]
pub struct InFlight {
    /// Identity look-ups of users accepted within the last day. Default: 32.
    pub users: usize,
    /// Identity look-ups of other credentials. Default: 16.
    pub unknown_users: usize,
    /// Look-ups of projects. Default: 16.
    pub projects: usize,
    /// Look-ups of the work items on which something is to be stored. Default: 16.
    pub checks: usize,
    /// Queries for work items. Default: 16.
    pub work_items: usize,
    /// The bytes of all responses to queries for work items that are in flight. Default: 24 MiB.
    pub query_bytes: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { users: 32, unknown_users: 16, projects: 16, checks: 16, work_items: 16, query_bytes: 24 * 1024 * 1024 }
    }
}

/// Time limits. A delay that Azure DevOps requests (`Retry-After`) is waited for only if it fits into them.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Connecting. Default: 3 s.
    pub connect: Duration,
    /// One attempt of one call, to the last byte of the response. Default: 8 s.
    pub attempt: Duration,
    /// One attempt of a look-up of work items on which something is to be stored. Default: 4 s.
    pub check: Duration,
    /// One identity look-up with all its attempts. Default: 10 s.
    pub identity: Duration,
    /// One look-up of projects with all its pages and attempts. Default: 30 s.
    pub directory: Duration,
    /// One look-up of work items with all its batches and attempts. Requests that store something wait for it. Default: 8 s.
    pub work_items: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(8),
            check: Duration::from_secs(4),
            identity: Duration::from_secs(10),
            directory: Duration::from_secs(30),
            work_items: Duration::from_secs(8),
        }
    }
}

/// Retries of failed calls. All calls only read, so they are safe to retry.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Maximum number of retries. Default: 2.
    pub max: usize,
    /// The delay before the first retry. It doubles with each retry and has jitter. Default: 100 ms.
    pub initial_backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { max: 2, initial_backoff: Duration::from_millis(100) }
    }
}

/// Configuration of the circuit breakers.
#[derive(Debug, Clone, Copy)]
pub struct BreakerConfig {
    /// Consecutive failed attempts that open the breaker. Default: 5.
    pub failure_threshold: u32,
    /// Time in the open state before one probe call. Default: 15 s.
    pub open_duration: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failure_threshold: 5, open_duration: Duration::from_secs(15) }
    }
}
