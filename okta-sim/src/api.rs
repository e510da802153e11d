//! The org's APIs over HTTP: the System Log, the applications and OAuth 2, as Okta answers and as it refuses.
//!
//! It checks the client: what Okta would refuse is refused here, and the refusal names the rule.

mod access;
mod apps;
mod dpop;
mod fault;
mod filter;
mod link;
mod logs;
mod oauth;
mod rate;
mod refusal;
mod server;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use crate::system_log::SystemLog;
pub use access::{ApiToken, Scope};
pub use apps::{AppDirectory, AppRecord, AppStatus};
pub use fault::Fault;
pub use oauth::{ServiceApp, ServiceAppError};
pub use rate::RateLimit;
pub use server::{OktaApi, SeenRequest};

/// How the APIs behave. The defaults are Okta's.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// The API tokens that are good.
    pub tokens: Vec<ApiToken>,
    /// The OAuth 2 service apps that are known.
    pub service_apps: Vec<ServiceApp>,
    /// How many requests of each kind are answered in a stretch of time.
    pub rate: RateLimit,
    /// Whether `Link` headers come as one, joined by commas, or each by itself.
    pub joined_links: bool,
    /// Where links lead instead of to the org itself: `http://elsewhere.example`. None as it should be.
    pub link_origin: Option<String>,
    /// How long a link to the next page is good; for ever where there is none.
    pub link_lifetime: Option<Duration>,
    /// How much later than it was persisted an event shows in bounded requests.
    pub bounded_delay: Duration,
    /// How far the org's clock is ahead of this machine's; negative where it is behind.
    pub clock_ahead: time::Duration,
    /// The share of requests that are answered with 500, from 0 to 1.
    pub errors: f64,
    /// How long an OAuth 2 access token is good; an hour at Okta.
    pub token_lifetime: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            service_apps: Vec::new(),
            rate: RateLimit::default(),
            joined_links: false,
            link_origin: None,
            link_lifetime: None,
            bounded_delay: Duration::ZERO,
            clock_ahead: time::Duration::ZERO,
            errors: 0.0,
            token_lifetime: Duration::from_hours(1),
        }
    }
}

/// What requests look at.
#[derive(Debug)]
struct Org {
    options: ApiOptions,
    log: SystemLog,
    apps: AppDirectory,
    rates: rate::Rates,
    faults: fault::Faults,
    tokens: oauth::IssuedTokens,
    nonces: dpop::Nonces,
    links: link::Links,
    seen: server::Seen,
}

impl Org {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.options.clock_ahead
    }
}

/// A lock that is good even where its holder panicked: what is in it is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
