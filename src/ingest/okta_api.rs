//! What is read from an org's APIs. Of all gateways over a database, one reads an org; when it dies, another one does,
//! within seconds.

mod catalogue;
mod page;
mod poller;
mod reconcile;

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::Intake;
use crate::backoff::Backoff;
use crate::okta::{OktaClient, Resource};
use crate::store::Catalogue;
use poller::Poller;

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
    async fn pause(&self, resource: Resource) {
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
struct SystemLogHints {
    /// Notified when applications have changed.
    applications: Notify,
}

/// Pause before the next attempt to be elected, after the database could not tell who leads.
const ELECTION_PAUSE: Duration = Duration::from_secs(1);

/// The pauses between failed requests to an org's APIs. The jitter keeps the gateways of several orgs apart.
const fn api_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_mins(1)).with_jitter()
}

/// Reads an org's APIs whenever no other gateway does, for as long as it is polled.
pub async fn read_org(intake: Intake, catalogue: Catalogue, api: OrgApi) {
    loop {
        let mut lead = match intake.log().lead(&format!("okta {}", api.org)).await {
            Ok(lead) => lead,
            Err(error) => {
                tracing::debug!(org = api.org, %error, "could not find out who reads this org's APIs");
                sleep(ELECTION_PAUSE).await;
                continue;
            }
        };
        tracing::info!(org = api.org, "this gateway reads the org's System Log");
        let hints = SystemLogHints::default();
        let poller = Poller::new(&intake, &api, &hints);
        tokio::select! {
            () = lead.lost() => {
                tracing::warn!(org = api.org, "this gateway does not read the org's System Log any more");
            }
            () = poller.run() => {}
            () = catalogue::keep(&catalogue, &api, &hints) => {}
            () = reconcile::keep(&intake, &api) => {}
        }
        lead.resign().await;
    }
}
