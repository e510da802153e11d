//! An org whose APIs are read: its client, the settings, and the pauses between requests.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::okta::{OktaClient, Resource};

/// How an org's APIs are read.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiOptions {
    /// The share of Okta's rate limits that is used, from 0 to 1; the rest is left to others.
    pub rate_share: f64,
    /// How long to wait at the end of the System Log.
    pub poll_interval: Duration,
    /// How far back the first start reads. Okta keeps 90 days, and refuses to be asked for more than 180.
    pub backfill: Duration,
    /// How often the list of applications is read, unless events tell of changes.
    pub catalogue_interval: Duration,
    /// How long after it is over a stretch of time has settled: what happened in it has come, or is late beyond measure.
    pub settle: Duration,
    /// How often what has settled is read once more.
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
    /// Its configured name.
    pub org: String,
    /// A client of it.
    pub client: OktaClient,
    /// How it is read.
    pub options: ApiOptions,
}

impl OrgApi {
    /// Waits until the budget of requests allows one more.
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
}

/// Hints from the poller of the System Log to those who read other APIs.
#[derive(Debug, Default)]
pub(super) struct SystemLogHints {
    /// Notified when applications have changed.
    pub(super) applications: Notify,
}

/// The pauses between failed requests to an org's APIs. The jitter keeps the gateways of several orgs apart.
pub(super) const fn api_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_mins(1)).with_jitter()
}
