//! Reading an org's APIs. A lease makes one of the gateways over a database the reader of an org; when its gateway
//! dies, another gateway takes over within seconds.

mod catalogue;
mod org_api;
mod page;
mod poller;
mod reconcile;

pub use org_api::{ApiOptions, OrgApi};

use std::time::Duration;

use tokio::time::sleep;

use super::Intake;
use crate::catalogue::Catalogue;
use org_api::SystemLogHints;
use poller::Poller;

/// The pause before the next attempt to become the leader, after the database failed.
const ELECTION_PAUSE: Duration = Duration::from_secs(1);

/// Reads an org's APIs whenever this gateway is the leader, for as long as the future is polled.
pub async fn read_org(intake: Intake, catalogue: Catalogue, api: OrgApi) {
    loop {
        let mut lead = match intake.log().lead(&format!("okta {}", api.org)).await {
            Ok(lead) => lead,
            Err(error) => {
                tracing::debug!(org = api.org, %error, "could not find out which gateway reads this org's APIs");
                sleep(ELECTION_PAUSE).await;
                continue;
            }
        };
        tracing::info!(org = api.org, "this gateway reads the org's System Log");
        let hints = SystemLogHints::default();
        let poller = Poller::new(&intake, &api, &hints);
        tokio::select! {
            () = lead.lost() => {
                tracing::warn!(org = api.org, "this gateway no longer reads the org's System Log");
            }
            () = poller.run() => {}
            () = catalogue::run(&catalogue, &api, &hints) => {}
            () = reconcile::run(&intake, &api) => {}
        }
        lead.resign().await;
    }
}
