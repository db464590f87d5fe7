//! What the adapter can be told. Every default is meant for production; tests shorten the durations.

use std::time::Duration;

use secrecy::SecretString;

use crate::credential::AppKey;
use crate::service_url::{OrgUrl, ServiceUrl};

/// The settings of [`crate::AzureDevOps`]. Its `Debug` hides the keys.
#[derive(Debug, Clone)]
pub struct AzureConfig {
    /// The organisation. Without it identities come from the global profile endpoint, which refuses tokens that are
    /// good for one organisation only, and there are no projects. Default: none.
    pub org_url: Option<OrgUrl>,
    /// Where the global profile endpoint is; none is [`Self::PROFILE_BASE_URL`].
    pub profile_base_url: Option<ServiceUrl>,
    /// The keys that app tokens of our extensions are signed with. Default: none, so no app token passes.
    pub extension_app_keys: Vec<AppKey>,
    /// The service's own token, with which the members of the organisation are asked for; with it an app token of an
    /// active member signs in alone. Default: none, so an app token needs an access token of its user.
    pub members_pat: Option<SecretString>,
    /// How long a valid identity is remembered, though never beyond the `exp` of its token; zero turns it off.
    /// Default: 60 s.
    pub cache_ttl: Duration,
    /// How long a rejected credential is remembered; zero turns it off. Default: 5 s.
    pub rejected_ttl: Duration,
    /// How many identities are remembered, and as many recently accepted, rejected and throttled credentials.
    /// Default: 10 000.
    pub cache_capacity: u64,
    /// How long ago the identity of the caller of `ProjectDirectory::list` may have been established. In an
    /// organisation with public projects a token that was revoked since still gets a list, and all that is missing
    /// in it would be taken for deleted. Default: 5 s.
    pub listing_identity_age: Duration,
    /// Whether Azure is asked to answer a rejected credential with 401 instead of a redirect. Some tenants with
    /// conditional access refuse good tokens when asked so. Default: true.
    pub suppress_sign_in_redirect: bool,
    /// How many calls to Azure may be on their way at once.
    pub in_flight: InFlight,
    /// How many projects one page has. Default: 200.
    pub page_size: u32,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// When a call is repeated.
    pub retries: Retries,
    /// When Azure is left alone.
    pub breaking: Breaking,
    /// Tells the `traceparent` header of the request that is worked on, which goes along. Default: none.
    pub traceparent: Option<fn() -> Option<String>>,
}

impl AzureConfig {
    /// Where the profiles of Azure DevOps Services are.
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
            breaking: Breaking::default(),
            traceparent: None,
        }
    }
}

/// How many calls to Azure may be on their way at once, by who causes them, so that one kind of caller cannot hold up
/// another. Sixteen times as many wait in line; beyond that a look-up fails at once.
#[derive(Debug, Clone, Copy)]
pub struct InFlight {
    /// Look-ups of users whom Azure accepted within the last day. Default: 32.
    pub users: usize,
    /// Look-ups of credentials that were never seen. Default: 16.
    pub newcomers: usize,
    /// Look-ups of projects. Default: 16.
    pub projects: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { users: 32, newcomers: 16, projects: 16 }
    }
}

/// How long things may take. A wait that Azure asks for (`Retry-After`) happens only where it fits in.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To connect. Default: 3 s.
    pub connect: Duration,
    /// One attempt of one call, to the last byte of the answer. Default: 8 s.
    pub attempt: Duration,
    /// To find out who is calling, all attempts together. Default: 10 s.
    pub identity: Duration,
    /// To look up projects, all pages and attempts together. Default: 30 s.
    pub directory: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(8),
            identity: Duration::from_secs(10),
            directory: Duration::from_secs(30),
        }
    }
}

/// When a call is repeated. All calls here are GETs, so a repetition does no harm.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// How often at most. Default: 2.
    pub max: usize,
    /// The pause before the first; the next one doubles, each with jitter. Default: 100 ms.
    pub first_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { max: 2, first_pause: Duration::from_millis(100) }
    }
}

/// When Azure is left alone, so that it can recover and nobody waits in vain.
#[derive(Debug, Clone, Copy)]
pub struct Breaking {
    /// After how many failed attempts in a row. Default: 5.
    pub after: u32,
    /// For how long, before one call may try again. Default: 15 s.
    pub pause: Duration,
}

impl Default for Breaking {
    fn default() -> Self {
        Self { after: 5, pause: Duration::from_secs(15) }
    }
}
