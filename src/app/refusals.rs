//! Keeps the last refused request of each org, so that every gateway can tell of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::auth::{HookSecrets, RefusedRequest};
use crate::store::{HookRefusal, Ledger};

/// Pause between two looks. Anybody may send such requests, so that this is also how often they can have something
/// written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes the last refused request of each org to the database, for as long as it is polled.
pub(super) async fn keep(ledger: Ledger, hooks: BTreeMap<String, HookSecrets>) {
    let mut kept: BTreeMap<&String, RefusedRequest> = BTreeMap::new();
    loop {
        for (org, secrets) in &hooks {
            let Some(refused) = secrets.last_refused().filter(|refused| kept.get(org) != Some(refused)) else {
                continue;
            };
            let refusal = HookRefusal { org: org.clone(), at: refused.at, reason: refused.reason.clone() };
            match ledger.keep_hook_refusal(&refusal).await {
                Ok(()) => _ = kept.insert(org, refused),
                Err(error) => tracing::debug!(%error, "could not keep a refused request; trying again"),
            }
        }
        sleep(INTERVAL).await;
    }
}
