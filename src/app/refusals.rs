//! A task that stores the last refused request of each org, so that every gateway can report it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::auth::{HookSecrets, RefusedRequest};
use crate::ledger::{HookRefusal, Ledger};

/// The pause between two checks. Anybody can send such requests, so this also limits how often they cause a write.
const INTERVAL: Duration = Duration::from_secs(1);

/// Stores the last refused request of each org, for as long as the future is polled.
pub(super) async fn store_last(ledger: Ledger, hooks: BTreeMap<String, HookSecrets>) {
    let mut stored: BTreeMap<&String, RefusedRequest> = BTreeMap::new();
    loop {
        for (org, secrets) in &hooks {
            let Some(refused) = secrets.last_refused().filter(|refused| stored.get(org) != Some(refused)) else {
                continue;
            };
            let refusal = HookRefusal { org: org.clone(), at: refused.at, reason: refused.reason.clone() };
            match ledger.keep_hook_refusal(&refusal).await {
                Ok(()) => _ = stored.insert(org, refused),
                Err(error) => tracing::debug!(%error, "could not store a refused request; trying again"),
            }
        }
        sleep(INTERVAL).await;
    }
}
