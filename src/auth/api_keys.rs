//! API keys: the credentials of machines, which the command `sluice keys` adds and revokes.
//!
//! A gateway holds all keys in memory, so that a key is found without the database, also while that is away, and an unknown
//! one costs the database nothing.

mod key_fault;
mod key_text;

pub use key_fault::KeyFault;
pub use key_text::{GeneratedKey, NoRandomNumbers};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use key_text::PREFIX;
use parking_lot::{Mutex, RwLock};
use subtle::ConstantTimeEq as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::logged_refusals::LoggedRefusals;
use super::revocation::Revocation;
use super::viewer::{AllowedDocuments, Viewer, ViewerKind};
use crate::access::{AccessRecords, ApiKeyRecord, MAX_API_KEYS};
use crate::event::Timestamp;
use crate::store::{Credential, StoreError};

/// The interval at which uses of keys are looked for, to store their times.
const STORE_INTERVAL: Duration = Duration::from_secs(2);

/// The least distance between two times of use of one key that are stored, in milliseconds.
const USES_APART: i64 = 60_000;

/// The least interval between two looks at the database for unknown keys, which may have been added just now. Anybody can send
/// such keys.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The longest wait for such a look.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// The API keys that a gateway holds. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Arc<ApiKeysState>);

#[derive(Debug, Default)]
struct ApiKeysState {
    /// The keys by their ids, revoked and expired ones as well, so that their clients learn the reason of the refusal. None until
    /// they were read.
    held: RwLock<Option<HashMap<String, Arc<HeldKey>>>>,
    /// The limit of log lines about refused keys.
    refusals: LoggedRefusals<KeyFault>,
    /// True if the database has more usable keys than the gateway holds, which the log has said.
    are_too_many: AtomicBool,
    /// The time of the last request for a look at the database.
    wanted_at: Mutex<Option<Instant>>,
    /// Notified when a look at the database is wanted.
    wanted: Notify,
    /// Notified after each look at the database.
    looked: Notify,
}

#[derive(Debug)]
struct HeldKey {
    record: ApiKeyRecord,
    viewer: Viewer,
    /// The time of the last use at this gateway, in milliseconds since 1970; 0 without any.
    used: AtomicI64,
    /// The last of these times that was stored.
    stored: AtomicI64,
}

impl ApiKeys {
    /// Returns true if a text has the form of a key, as opposed to other tokens.
    pub fn is_key(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Returns true once the keys were read from the database.
    pub(super) fn are_read(&self) -> bool {
        self.0.held.read().is_some()
    }

    /// Returns true if there is any key, also a revoked one.
    pub fn exist(&self) -> bool {
        self.0.held.read().as_ref().is_some_and(|held| !held.is_empty())
    }

    /// Returns the viewer of a key. If the key is unknown, the keys may be read once more, since it may have been added just now.
    ///
    /// # Errors
    /// The key is refused.
    pub(super) async fn identify(&self, text: &str) -> Result<Viewer, KeyFault> {
        let mut found = self.find(text, Timestamp::now());
        if found == Err(KeyFault::Unknown) && self.have_looked_again().await {
            found = self.find(text, Timestamp::now());
        }
        match &found {
            Ok(_) => metrics::counter!("sluice_api_keys_total", "result" => "accepted").increment(1),
            Err(fault) => {
                metrics::counter!("sluice_api_keys_total", "result" => fault.name()).increment(1);
                self.log_refusal(text, fault);
            }
        }
        found
    }

    /// Asks the watch to look at the database, at most once a second for all requests together, and waits for it. Returns false if
    /// there was no look.
    async fn have_looked_again(&self) -> bool {
        {
            let mut wanted_at = self.0.wanted_at.lock();
            if wanted_at.is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
                return false;
            }
            *wanted_at = Some(Instant::now());
        }
        let looked = self.0.looked.notified();
        self.0.wanted.notify_one();
        timeout(LOOK_PATIENCE, looked).await.is_ok()
    }

    /// Waits until a look at the database is wanted. One task may wait.
    pub(super) async fn look_wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// Tells those who wait that the database was looked at.
    pub(super) fn have_looked(&self) {
        self.0.looked.notify_waiters();
    }

    fn find(&self, text: &str, now: Timestamp) -> Result<Viewer, KeyFault> {
        let parsed = key_text::parse(text)?;
        let held = self.0.held.read();
        let key = held.as_ref().and_then(|held| held.get(parsed.id)).ok_or(KeyFault::Unknown)?;
        if !bool::from(key.record.hash.ct_eq(&parsed.hash)) {
            return Err(KeyFault::Unknown);
        }
        if let Some(at) = key.record.revoked_at {
            return Err(KeyFault::Revoked { key: key.record.name.clone(), at });
        }
        if key.record.expires_at <= now {
            return Err(KeyFault::Expired { key: key.record.name.clone(), at: key.record.expires_at });
        }
        key.used.fetch_max(now.millis(), Ordering::Relaxed);
        Ok(key.viewer.clone())
    }

    /// Logs a refusal with the public part of the key, by which `sluice keys list` shows it.
    fn log_refusal(&self, text: &str, fault: &KeyFault) {
        if self.0.refusals.is_due(fault) {
            let id = key_text::public_id(text).unwrap_or("unknown");
            tracing::warn!(id, %fault, "refused an API key; others for the same reason within a minute are only counted");
        }
    }

    /// Reads all keys again. Keys that are gone, revoked, or have other rights are cut off.
    ///
    /// # Errors
    /// The database's; then the keys stay as they were.
    pub(super) async fn refresh(&self, access: &AccessRecords) -> Result<(), StoreError> {
        let mut records = access.api_keys(MAX_API_KEYS + 1).await?;
        let surplus = records.split_off(records.len().min(MAX_API_KEYS));
        self.warn_of_surplus(surplus.first().is_some_and(|record| !record.is_over(Timestamp::now())));
        self.replace(records);
        Ok(())
    }

    /// Logs once that keys are refused since there are too many, which only somebody can cause who writes them by hand.
    fn warn_of_surplus(&self, are_too_many: bool) {
        if !self.0.are_too_many.swap(are_too_many, Ordering::Relaxed) && are_too_many {
            tracing::warn!(
                held = MAX_API_KEYS,
                "the database has more usable API keys than a gateway holds: those that were added first are refused; revoke some"
            );
        }
    }

    /// Replaces the keys that are held.
    pub(super) fn replace(&self, records: Vec<ApiKeyRecord>) {
        let now = Timestamp::now();
        let usable = records.iter().filter(|record| !record.is_over(now)).count();
        metrics::gauge!("sluice_api_keys").set(u32::try_from(usable).unwrap_or(u32::MAX));
        let mut held = self.0.held.write();
        let mut old = held.take().unwrap_or_default();
        let mut fresh = HashMap::with_capacity(records.len());
        let mut changed = Vec::new();
        for record in records {
            let id = record.id.clone();
            let key = match old.remove(&id) {
                Some(same) if same.is_same(&record) => same,
                other => {
                    changed.extend(other);
                    Arc::new(HeldKey::new(record))
                }
            };
            fresh.insert(id, key);
        }
        *held = Some(fresh);
        drop(held);
        for key in old.values().chain(&changed) {
            key.cut_off();
        }
    }

    /// Stores the times of last uses, for each key at most once a minute. Ends only when it is dropped.
    pub async fn keep_last_uses(self, access: AccessRecords) {
        loop {
            sleep(STORE_INTERVAL).await;
            if let Err(error) = self.store_last_uses(&access).await {
                tracing::debug!(%error, "could not store the times at which API keys were used; trying again");
            }
        }
    }

    async fn store_last_uses(&self, access: &AccessRecords) -> Result<(), StoreError> {
        let held = self.0.held.read().iter().flat_map(|held| held.values().map(Arc::clone)).collect::<Vec<_>>();
        let used = held.iter().map(|key| (key, key.used.load(Ordering::Relaxed)));
        let used: Vec<_> =
            used.filter(|(key, at)| *at >= key.stored.load(Ordering::Relaxed).saturating_add(USES_APART)).collect();
        if used.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = used.iter().map(|(key, _)| &*key.record.id).collect();
        let times: Vec<_> = used.iter().filter_map(|(_, at)| Timestamp::from_millis(*at)).collect();
        access.api_keys_used(&ids, &times).await?;
        for (key, at) in used {
            key.stored.store(at, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl HeldKey {
    fn new(record: ApiKeyRecord) -> Self {
        if record.rights.is_none() {
            let (key, id) = (&record.name, &record.id);
            tracing::error!(
                key,
                id,
                "a newer version of sluice has stored the rights of this API key; here it has none"
            );
        }
        let viewer = Viewer {
            name: Some(record.name.clone()),
            kind: ViewerKind::ApiKey,
            credential: Credential::ApiKey(record.name.clone()),
            expires: Some(record.expires_at),
            rights: Arc::new(record.rights()),
            documents: AllowedDocuments::Any,
            revocation: Revocation::default(),
        };
        Self { record, viewer, used: AtomicI64::new(0), stored: AtomicI64::new(0) }
    }

    /// Returns true if a record gives the same rights to the same clients.
    fn is_same(&self, record: &ApiKeyRecord) -> bool {
        let compared = |record: &ApiKeyRecord| {
            let ApiKeyRecord { id, name, hash, rights, expires_at, revoked_at, created_at: _, last_used_at: _ } =
                record.clone();
            (id, name, hash, rights, expires_at, revoked_at)
        };
        compared(&self.record) == compared(record)
    }

    /// Ends what runs with the key.
    fn cut_off(&self) {
        if !self.record.is_over(Timestamp::now()) {
            metrics::counter!("sluice_access_revoked_total", "kind" => ApiKeyRecord::TABLE).increment(1);
            tracing::info!(
                key = self.record.name,
                id = self.record.id,
                "an API key was revoked, or has other rights now"
            );
        }
        self.viewer.revocation.revoke();
    }
}

#[cfg(test)]
mod tests;
