//! What is read from an org's APIs. Of all gateways over a database, one reads an org; when it dies, another one does,
//! within seconds.

mod catalogue;
mod org_api;
mod page;
mod poller;
mod reconcile;

pub use org_api::{ApiOptions, OrgApi};

use std::time::Duration;

use tokio::time::sleep;

use super::Intake;
use crate::store::Catalogue;
use org_api::SystemLogHints;
use poller::Poller;

/// Pause before the next attempt to be elected, after the database could not tell who leads.
const ELECTION_PAUSE: Duration = Duration::from_secs(1);

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
