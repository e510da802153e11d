//! What is read from an org's APIs. Of all gateways over a database, one reads an org; when it dies, another one does,
//! within seconds.

mod backoff;
mod page;
mod poller;

use std::time::Duration;

use tokio::time::sleep;

use super::Intake;
use crate::okta::OktaClient;
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
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { rate_share: 0.5, poll_interval: Duration::from_secs(10), backfill: Duration::from_hours(90 * 24) }
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

/// The pause after the database could not say who leads.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads an org's APIs whenever no other gateway does, for as long as it is polled.
pub async fn read_org(intake: Intake, api: OrgApi) {
    let store = intake.log().store().clone();
    loop {
        let mut lead = match store.lead(&format!("okta {}", api.org)).await {
            Ok(lead) => lead,
            Err(error) => {
                tracing::debug!(org = api.org, %error, "could not find out who reads this org's APIs");
                sleep(PAUSE).await;
                continue;
            }
        };
        tracing::info!(org = api.org, "this gateway reads the org's System Log");
        let poller = Poller::new(&intake, &api);
        tokio::select! {
            () = lead.lost() => {
                tracing::warn!(org = api.org, "this gateway does not read the org's System Log any more");
            }
            () = poller.run() => {}
        }
        lead.resign().await;
    }
}
