//! An org whose APIs are read: its client, its options, and the errors and pauses of requests.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::event::Timestamp;
use crate::ingest::IntakeError;
use crate::okta::{LOG_PAGE, LogFilter, MalformedBody, OktaClient, OktaError, Resource};
use crate::store::StoreError;

/// The options for reading an org's APIs.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiOptions {
    /// The share of Okta's rate limits that sluice uses, between 0 and 1; the rest is left to the org's other clients.
    pub rate_share: f64,
    /// The pause at the end of the System Log.
    pub poll_interval: Duration,
    /// The age of the oldest events that the first start reads. Okta keeps 90 days, and rejects requests for more than
    /// 180.
    pub backfill: Duration,
    /// The interval at which the list of applications is read, unless events report changes.
    pub catalogue_interval: Duration,
    /// The time after which a window of the System Log has settled: later events of that window are very rare.
    pub settle: Duration,
    /// The interval at which settled windows are read again.
    pub reconcile_interval: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            rate_share: 0.5,
            poll_interval: Duration::from_secs(10),
            backfill: Duration::from_hours(90 * 24),
            catalogue_interval: Duration::from_hours(1),
            settle: Duration::from_mins(30),
            reconcile_interval: Duration::from_mins(5),
        }
    }
}

/// An org whose APIs are read.
#[derive(Clone, Debug)]
pub struct OrgApi {
    /// The configured name.
    pub org: String,
    /// The client of the org.
    pub client: OktaClient,
    /// The options for reading.
    pub options: ApiOptions,
}

impl OrgApi {
    /// Waits until the request budget allows one more request.
    pub(super) async fn pause(&self, resource: Resource) {
        loop {
            let wait = self.client.wait(resource);
            if wait.is_zero() {
                return;
            }
            let (seconds, resource) = (wait.as_secs_f32(), resource.path());
            tracing::debug!(org = self.org, resource, seconds, "waiting for Okta's rate limit");
            sleep(wait).await;
        }
    }

    /// Returns the URL of the first page of the System Log with the matching events of a period, oldest first.
    pub(super) fn log_url(&self, filter: &LogFilter, since: Timestamp, until: Option<Timestamp>) -> reqwest::Url {
        let (since, until, limit) = (since.to_string(), until.map(|until| until.to_string()), LOG_PAGE.to_string());
        let mut parameters = vec![("since", since.as_str()), ("sortOrder", "ASCENDING"), ("limit", &limit)];
        parameters.extend(until.as_deref().map(|until| ("until", until)));
        parameters.extend(filter.scim().map(|filter| ("filter", filter)));
        self.client.url(Resource::Logs, &parameters)
    }
}

/// The reason why a read of an org's API failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Okta(#[from] OktaError),
    #[error("url: not an Okta org: {0}")]
    Page(#[from] MalformedBody),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Hints from the poller of the System Log to the readers of other APIs.
#[derive(Debug, Default)]
pub(super) struct SystemLogHints {
    /// Notified when an event reports that applications have changed.
    pub(super) applications: Notify,
}

/// Returns the backoff between failed requests. The jitter spreads the requests of gateways that read different orgs.
pub(super) const fn api_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_mins(1)).with_jitter()
}
