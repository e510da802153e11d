//! Loads of one answer, gathered into one query each.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;

use crate::event::{ApplicationInstance, Cut, Direction, MAX_PAGE_SIZE, PageRequest, Position};
use crate::store::{ArrivalRecord, InstanceFilter, Store, StoreError};
use std::sync::Arc;

/// Loads from the store.
pub(super) struct StoreLoader(pub(super) Store);

/// The JSON of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct DetailsKey(pub(super) Position);

/// How an event arrived.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ArrivalKey(pub(super) Position);

/// An application instance.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct InstanceKey {
    pub(super) org: String,
    pub(super) instance_id: String,
}

impl Loader<DetailsKey> for StoreLoader {
    type Value = String;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[DetailsKey]) -> Result<HashMap<DetailsKey, String>, Arc<StoreError>> {
        let positions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.0.details_at(&positions).await?;
        Ok(found.into_iter().map(|(position, raw)| (DetailsKey(position), raw)).collect())
    }
}

impl Loader<ArrivalKey> for StoreLoader {
    type Value = ArrivalRecord;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[ArrivalKey]) -> Result<HashMap<ArrivalKey, ArrivalRecord>, Arc<StoreError>> {
        let positions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = self.0.arrivals_at(&positions).await?;
        Ok(found.into_iter().map(|record| (ArrivalKey(record.position), record)).collect())
    }
}

impl Loader<InstanceKey> for StoreLoader {
    type Value = ApplicationInstance;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[InstanceKey]) -> Result<HashMap<InstanceKey, ApplicationInstance>, Arc<StoreError>> {
        let ids: Vec<_> = keys.iter().map(|key| key.instance_id.clone()).collect();
        let mut found = HashMap::with_capacity(keys.len());
        let mut after = None;
        loop {
            let filter = InstanceFilter { instance_ids: Some(ids.clone()), ..InstanceFilter::default() };
            let cut = Cut { after, before: None };
            let request = PageRequest { direction: Direction::Forward, size: MAX_PAGE_SIZE, cut };
            let page = self.0.application_instances(&filter, &request).await?;
            after = page.items.last().map(super::catalogue::instance_key);
            found.extend(page.items.into_iter().map(|instance| {
                (InstanceKey { org: instance.org.clone(), instance_id: instance.instance_id.clone() }, instance)
            }));
            if !page.has_next {
                return Ok(found);
            }
        }
    }
}
