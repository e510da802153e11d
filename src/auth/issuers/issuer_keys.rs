//! The keys of an issuer in memory: refreshed in the background, and at once for a token with an unknown key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use reqwest::Client;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::key_set::KeySet;
use super::key_source::{FETCH_TIMEOUT, FetchError, KeySource};
use super::metadata::IssuerMetadata;

/// The interval at which keys are refreshed.
pub(super) const REFRESH_INTERVAL: Duration = Duration::from_mins(10);

/// The time for which keys may be used that could not be refreshed.
const MAX_AGE: Duration = Duration::from_hours(24);

/// The least interval between two fetches because of unknown keys. Without it, tokens with invented keys would make the
/// gateway ask the issuer without end.
const FORCED_INTERVAL: Duration = Duration::from_secs(30);

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    /// The issuer's name in the settings.
    name: String,
    source: KeySource,
    http: Client,
    current: RwLock<Option<Arc<FetchedKeys>>>,
    /// The time of the last fetch because of an unknown key. The request that fetches holds the lock, and others wait for it.
    forced: Mutex<Option<Instant>>,
    fetches: AtomicU64,
    /// The reason why the last fetch has failed.
    failure: RwLock<Option<String>>,
}

/// Keys as they were fetched.
#[derive(Debug)]
pub(super) struct FetchedKeys {
    /// A number that no other fetch of the issuer's keys has.
    pub(super) number: u64,
    keys: KeySet,
    metadata: Option<Arc<IssuerMetadata>>,
    fetched: Instant,
}

/// The reason why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer's keys do not have it.
    Unknown,
    /// The issuer's keys could not be fetched, so that none is known, or not the newest ones.
    NoKeys,
}

impl IssuerKeys {
    pub(super) fn new(name: String, source: KeySource, http: Client) -> Self {
        let (current, forced, fetches) = (RwLock::default(), Mutex::default(), AtomicU64::new(0));
        Self { name, source, http, current, forced, fetches, failure: RwLock::default() }
    }

    /// Returns the usable keys in memory.
    pub(super) fn current(&self) -> Option<Arc<FetchedKeys>> {
        self.current.read().clone().filter(|fetched| fetched.fetched.elapsed() < MAX_AGE)
    }

    /// Returns the reason why the last fetch has failed, and the setting to look at; None if it has not failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.read().clone()
    }

    /// Returns the ids of the usable keys in memory.
    pub(super) fn ids(&self) -> Vec<String> {
        self.current().map(|fetched| fetched.keys.ids().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Returns the issuer's metadata, which is fetched if it is not known, but not more often than every 30 s.
    pub(super) async fn metadata(self: &Arc<Self>) -> Option<Arc<IssuerMetadata>> {
        let known = || self.current().and_then(|fetched| fetched.metadata.clone());
        if known().is_none() {
            self.fetch_for_unknown().await;
        }
        known()
    }

    /// Calls a function with the key of a token, and returns also the number of the keys. If the keys in memory lack it, they are
    /// fetched, but not more often than every 30 s.
    ///
    /// # Errors
    /// There is no such key.
    pub(super) async fn with_key<T>(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
        verify: impl FnOnce(&DecodingKey) -> T,
    ) -> Result<(T, u64), NoKey> {
        let is_known = |fetched: &Arc<FetchedKeys>| fetched.keys.find(id, algorithm).is_some();
        let (mut current, mut is_in_time) = (self.current(), true);
        if !current.as_ref().is_some_and(is_known) {
            is_in_time = self.fetch_for_unknown().await;
            current = self.current();
        }
        let Some(fetched) = current else { return Err(NoKey::NoKeys) };
        let none = || if is_in_time && self.failure().is_none() { NoKey::Unknown } else { NoKey::NoKeys };
        fetched.keys.find(id, algorithm).map(|key| (verify(key), fetched.number)).ok_or_else(none)
    }

    /// Fetches the keys, unless that was done within the last 30 s. Requests that ask meanwhile wait for the same fetch. Returns
    /// false if the issuer does not answer in time.
    async fn fetch_for_unknown(self: &Arc<Self>) -> bool {
        let keys = Arc::clone(self);
        // A task of its own, which goes on when the client that caused it disconnects.
        let fetch = tokio::spawn(async move {
            let mut forced = keys.forced.lock().await;
            if forced.is_none_or(|at| at.elapsed() >= FORCED_INTERVAL) {
                *forced = Some(Instant::now());
                _ = keys.refresh().await;
            }
        });
        timeout(FETCH_TIMEOUT, fetch).await.is_ok()
    }

    /// Fetches the keys. If that fails, those in memory stay.
    ///
    /// # Errors
    /// The source has no keys.
    pub(super) async fn refresh(&self) -> Result<(), FetchError> {
        let number = self.fetches.fetch_add(1, Ordering::Relaxed);
        let fetched = self.source.fetch(&self.http).await;
        let result = if fetched.is_ok() { "fetched" } else { "failed" };
        let counter =
            metrics::counter!("sluice_issuer_key_fetches_total", "issuer" => self.name.clone(), "result" => result);
        counter.increment(1);
        match fetched {
            Ok((keys, metadata)) => {
                let metadata = metadata.map(Arc::new);
                let mut current = self.current.write();
                // The answer to an earlier fetch may come later.
                if current.as_ref().is_none_or(|current| current.number < number) {
                    *current = Some(Arc::new(FetchedKeys { number, keys, metadata, fetched: Instant::now() }));
                }
                *self.failure.write() = None;
                Ok(())
            }
            Err(error) => {
                // Absent if there are no keys yet.
                let age_seconds = self.current().map(|fetched| fetched.fetched.elapsed().as_secs_f64());
                let (name, setting) = (&self.name, self.source.setting());
                tracing::warn!(issuer = name, %error, age_seconds, "the issuer's keys could not be fetched (issuers.{name}.{setting})");
                *self.failure.write() = Some(format!("{error} (issuers.{name}.{setting})"));
                Err(error)
            }
        }
    }
}
