//! Loaders: the values of one kind that an answer needs at the same time are read by one statement (a batch).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{Context, Result};

use super::error::from_store;
use crate::backoff::Backoff;
use crate::event::{Application, ApplicationInstance, Position, SyncEvent};
use crate::ledger::StoredRejection;
use crate::log::View;
use crate::store::{ArrivalRecord, StoreError};

/// The loader of one operation or one feed, which reads from its view. No batch has keys of several readers.
pub(in crate::graphql) struct ViewLoader(pub(super) View);

/// Data of a request that waits while the database is unavailable, since an event must not be pushed in part.
pub(in crate::graphql) struct WaitsForDatabase;

/// Loads one value, in a batch with the others of its kind that the answer needs.
pub(in crate::graphql) async fn load<K>(
    context: &Context<'_>,
    key: K,
) -> Result<Option<<ViewLoader as Loader<K>>::Value>>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    ViewLoader: Loader<K, Error = Arc<StoreError>>,
{
    let loader = context.data::<Arc<DataLoader<ViewLoader>>>()?;
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2)).with_jitter();
    loop {
        match loader.load_one(key.clone()).await {
            Err(error) if error.is_unavailable() && context.data_opt::<WaitsForDatabase>().is_some() => {
                if !error.is_logged() {
                    tracing::warn!(%error, "could not complete an event for a subscriber; trying again");
                }
                tokio::time::sleep(backoff.pause()).await;
            }
            found => return found.map_err(|error| from_store(&error)),
        }
    }
}

/// The key of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct EventKey(pub(in crate::graphql) Position);

/// The key of the JSON of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct DetailsKey(pub(in crate::graphql) Position);

/// The key of the arrivals of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct ArrivalKey(pub(in crate::graphql) Position);

/// The key of an application instance.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct InstanceKey {
    pub(in crate::graphql) org: String,
    pub(in crate::graphql) instance_id: String,
}

/// The key of an application.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct ApplicationKey {
    pub(in crate::graphql) org: String,
    pub(in crate::graphql) name: String,
}

/// The key of a rejection. The value is None for a rejection that is there, but too large for the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct RejectionKey(pub(in crate::graphql) i64);

impl Loader<RejectionKey> for ViewLoader {
    type Value = Option<Arc<StoredRejection>>;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[RejectionKey]) -> Result<HashMap<RejectionKey, Self::Value>, Arc<StoreError>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.0.rejections_at(&ids).await?;
        Ok(found.into_iter().map(|(id, found)| (RejectionKey(id), found.map(Arc::new))).collect())
    }
}

impl Loader<EventKey> for ViewLoader {
    type Value = SyncEvent;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[EventKey]) -> Result<HashMap<EventKey, SyncEvent>, Arc<StoreError>> {
        let positions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.0.events_at(&positions).await?;
        Ok(found.into_iter().map(|event| (EventKey(event.position), event)).collect())
    }
}

impl Loader<DetailsKey> for ViewLoader {
    type Value = String;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[DetailsKey]) -> Result<HashMap<DetailsKey, String>, Arc<StoreError>> {
        let positions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.0.details_at(&positions).await?;
        Ok(found.into_iter().map(|(position, raw)| (DetailsKey(position), raw)).collect())
    }
}

impl Loader<ArrivalKey> for ViewLoader {
    type Value = ArrivalRecord;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[ArrivalKey]) -> Result<HashMap<ArrivalKey, ArrivalRecord>, Arc<StoreError>> {
        let positions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.0.arrivals_at(&positions).await?;
        Ok(found.into_iter().map(|record| (ArrivalKey(record.position), record)).collect())
    }
}

impl Loader<InstanceKey> for ViewLoader {
    type Value = ApplicationInstance;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[InstanceKey]) -> Result<HashMap<InstanceKey, ApplicationInstance>, Arc<StoreError>> {
        let keys: Vec<_> = keys.iter().map(|key| (key.org.as_str(), key.instance_id.as_str())).collect();
        let found = self.0.application_instances_at(&keys).await?;
        let keyed = |found: ApplicationInstance| {
            (InstanceKey { org: found.org.clone(), instance_id: found.instance_id.clone() }, found)
        };
        Ok(found.into_iter().map(keyed).collect())
    }
}

impl Loader<ApplicationKey> for ViewLoader {
    type Value = Application;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[ApplicationKey]) -> Result<HashMap<ApplicationKey, Application>, Arc<StoreError>> {
        let keys: Vec<_> = keys.iter().map(|key| (key.org.as_str(), key.name.as_str())).collect();
        let found = self.0.applications_at(&keys).await?;
        let keyed = |found: Application| (ApplicationKey { org: found.org.clone(), name: found.name.clone() }, found);
        Ok(found.into_iter().map(keyed).collect())
    }
}
