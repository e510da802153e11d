//! A view: the log as one reader may see it, and the only way to read the log.

use std::sync::Arc;

use uuid::Uuid;

use super::Log;
use crate::catalogue::{ApplicationFilter, InstanceFilter};
use crate::event::{
    Application, ApplicationInstance, CatalogueKey, Filter, Narrowed, Page, PageRequest, Position, Rights, Rows, Scope,
    StatementUsage, SyncEvent, Timestamp,
};
use crate::store::{ArrivalRecord, Credential, Store, StoreError};

/// The log as one reader may see it. Queries, loaders, feeds and catch-up read the log through a view only, so that
/// every read applies the reader's rights and takes its connection from the share of the reader's credential. Only
/// [`Log::view`] creates one. Clones share the view.
///
/// Neither a view nor a log gives access to the store:
///
/// ```compile_fail,E0616
/// fn store(view: &sluice::log::View) {
///     let _store = &view.0;
/// }
/// ```
///
/// ```compile_fail,E0599
/// fn store(log: &sluice::log::Log) {
///     let _store = log.store();
/// }
/// ```
///
/// The store does not accept a filter without rights:
///
/// ```compile_fail,E0308
/// async fn count(store: &sluice::store::Store) {
///     let _counted = store.count(&sluice::event::Filter::default(), 10, sluice::event::Position::START).await;
/// }
/// ```
///
/// ```
/// async fn count(view: &sluice::log::View) {
///     let _counted = view.matching(sluice::event::Filter::default()).count(10, sluice::event::Position::START).await;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct View(pub(super) Arc<ViewState>);

#[derive(Debug)]
pub(super) struct ViewState {
    pub(super) log: Log,
    /// The store, limited to the credential's share of connections.
    pub(super) store: Store,
    pub(super) rights: Arc<Rights>,
}

impl Log {
    /// Creates the view of a reader with these rights. The credential decides which share of the connections it uses.
    pub fn view(&self, rights: impl Into<Arc<Rights>>, credential: &Credential) -> View {
        let (rights, store) = (rights.into(), self.0.store.for_credential(credential));
        View(Arc::new(ViewState { log: self.clone(), store, rights }))
    }
}

impl View {
    /// Creates a view without a database, for tests that read nothing.
    #[cfg(test)]
    pub(crate) fn without_database() -> Self {
        Log::without_database().view(Rights::everything(), &Credential::Gateway)
    }

    /// Returns a view with another credential, for reads that do not belong to a request.
    #[must_use]
    pub fn for_credential(&self, credential: &Credential) -> Self {
        let ViewState { log, rights, .. } = &*self.0;
        log.view(Arc::clone(rights), credential)
    }

    /// Returns a view for one request, which limits the number of the request's concurrent statements.
    #[must_use]
    pub fn for_request(&self) -> Self {
        let ViewState { log, store, rights } = &*self.0;
        Self(Arc::new(ViewState { log: log.clone(), store: store.for_request(), rights: Arc::clone(rights) }))
    }

    /// Returns the same view, whose reads are counted.
    #[must_use]
    pub fn counted(&self, usage: Arc<StatementUsage>) -> Self {
        let ViewState { log, store, rights } = &*self.0;
        Self(Arc::new(ViewState { log: log.clone(), store: store.counted(usage), rights: Arc::clone(rights) }))
    }

    /// Returns the rights of the reader.
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Returns the rows of the catalogue that may be seen.
    fn rows(&self) -> &Rows {
        self.rights().event_rows()
    }

    /// Returns the filter of all events that may be seen.
    fn visible(&self) -> Narrowed {
        self.rights().narrow(Filter::default())
    }

    /// Removes the values that may not be seen from events.
    pub(super) fn mask(&self, mut events: Vec<SyncEvent>) -> Vec<SyncEvent> {
        for event in &mut events {
            self.rights().mask(event);
        }
        events
    }

    /// Returns the newest position. It needs no rights, since it reveals only the number of events.
    ///
    /// # Errors
    /// The database's.
    pub async fn head(&self) -> Result<Position, StoreError> {
        self.0.store.head().await
    }

    /// Returns the position right before the first event that was stored at or after a moment, or else the newest
    /// position. It needs no rights, since it reveals only the number of events.
    ///
    /// # Errors
    /// The database's.
    pub async fn position_before(&self, moment: Timestamp) -> Result<Position, StoreError> {
        self.0.store.position_before(moment).await
    }

    /// Returns true if the database knows a time zone by this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn knows_time_zone(&self, name: &str) -> Result<bool, StoreError> {
        self.0.store.knows_time_zone(name).await
    }

    /// Returns the events with a uuid: at most one for each org.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_by_uuid(&self, uuid: Uuid, org: Option<&str>) -> Result<Vec<SyncEvent>, StoreError> {
        self.0.store.events_by_uuid(uuid, org, &self.visible()).await.map(|events| self.mask(events))
    }

    /// Returns the events at these positions, in any order; positions without an event are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<SyncEvent>, StoreError> {
        self.0.store.events_at(positions, &self.visible()).await.map(|events| self.mask(events))
    }

    /// Returns the original JSON of events.
    ///
    /// # Errors
    /// The database's.
    pub async fn details_at(&self, positions: &[Position]) -> Result<Vec<(Position, String)>, StoreError> {
        if !self.rights().has(Scope::EventsDetails) {
            return Ok(Vec::new());
        }
        self.0.store.details_at(positions, &self.visible()).await
    }

    /// Returns the arrivals of events, in any order; positions without an event are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn arrivals_at(&self, positions: &[Position]) -> Result<Vec<ArrivalRecord>, StoreError> {
        let visible: Vec<_> = match self.rows() {
            Rows::All => positions.to_vec(),
            Rows::Granted(_) => self.events_at(positions).await?.iter().map(|event| event.position).collect(),
        };
        let mut arrivals = self.0.store.arrivals_at(&visible).await?;
        if !self.rights().has(Scope::EventsDetails) {
            for arrival in &mut arrivals {
                (arrival.source, arrival.headers) = (None, None);
            }
        }
        Ok(arrivals)
    }

    /// Returns a page of applications, by key.
    ///
    /// # Errors
    /// The database's.
    pub async fn applications(
        &self,
        wanted: &ApplicationFilter,
        request: &PageRequest<CatalogueKey>,
    ) -> Result<Page<Application>, StoreError> {
        self.0.store.catalogue().applications(wanted, self.rows(), request).await
    }

    /// Returns a page of application instances, by label.
    ///
    /// # Errors
    /// The database's.
    pub async fn application_instances(
        &self,
        wanted: &InstanceFilter,
        request: &PageRequest<CatalogueKey>,
    ) -> Result<Page<ApplicationInstance>, StoreError> {
        self.0.store.catalogue().application_instances(wanted, self.rows(), request).await
    }

    /// Returns the applications with these orgs and keys, in any order; unknown ones are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn applications_at(&self, keys: &[(&str, &str)]) -> Result<Vec<Application>, StoreError> {
        self.0.store.catalogue().applications_at(keys, self.rows()).await
    }

    /// Returns the application instances with these orgs and ids, in any order; unknown ones are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn application_instances_at(
        &self,
        keys: &[(&str, &str)],
    ) -> Result<Vec<ApplicationInstance>, StoreError> {
        self.0.store.catalogue().application_instances_at(keys, self.rows()).await
    }
}
