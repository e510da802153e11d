//! The org's APIs over HTTP: the System Log, the applications and OAuth 2, with Okta's responses and errors.
//!
//! The APIs check the client: a request that Okta would reject is rejected here, and the error names the violated rule.

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

/// The behaviour of the APIs. The defaults are Okta's.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// The valid API tokens.
    pub tokens: Vec<ApiToken>,
    /// The known OAuth 2 service apps.
    pub service_apps: Vec<ServiceApp>,
    /// The rate limit of each kind of request.
    pub rate: RateLimit,
    /// True if all links are in one `Link` header, separated by commas; false for one header for each link.
    pub joined_links: bool,
    /// The origin to which links lead instead of the org itself, such as `http://elsewhere.example`. None for correct
    /// links.
    pub link_origin: Option<String>,
    /// The lifetime of a link to the next page; None if links do not expire.
    pub link_lifetime: Option<Duration>,
    /// The delay after which a persisted event appears in bounded requests.
    pub bounded_delay: Duration,
    /// The difference between the org's clock and the local clock; negative if the org's is behind.
    pub clock_ahead: time::Duration,
    /// The share of requests that get 500, between 0 and 1.
    pub errors: f64,
    /// The lifetime of an OAuth 2 access token; an hour at Okta.
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

/// The state that requests use.
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

/// Locks a mutex even after its holder panicked, since every change of its content is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
