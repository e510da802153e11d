//! A view: the log as one reader may see it, and the only way to read the log.

use std::sync::Arc;

use uuid::Uuid;

use super::Log;
use crate::catalogue::{ApplicationFilter, InstanceFilter};
use crate::event::{
    Application, ApplicationInstance, CatalogueKey, Page, PageRequest, Position, Rights, Rows, Stretch, SyncEvent,
    Timestamp,
};
use crate::ledger::{HookRefusal, IngestTally, Ledger, PollCursor, RejectionFilter, StoredRejection};
use crate::store::{ArrivalRecord, Credential, Store, StoreError, StretchCount};

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
    pub(super) rights: Rights,
}

impl Log {
    /// Creates the view of a reader with these rights. The credential decides which share of the connections it uses.
    pub fn view(&self, rights: Rights, credential: &Credential) -> View {
        View(Arc::new(ViewState { log: self.clone(), store: self.0.store.for_credential(credential), rights }))
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
        log.view(rights.clone(), credential)
    }

    /// Returns a view for one request, which limits the number of the request's concurrent statements.
    #[must_use]
    pub fn for_request(&self) -> Self {
        let ViewState { log, store, rights } = &*self.0;
        Self(Arc::new(ViewState { log: log.clone(), store: store.for_request(), rights: rights.clone() }))
    }

    /// Returns the rights of the reader.
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Returns the store for a read without a filter. The pattern covers all rights while [`Rows`] has one variant; a
    /// second variant does not compile here until each of these reads respects it.
    fn whole_log(&self) -> &Store {
        let Rows::All = self.rights().rows();
        &self.0.store
    }

    /// Returns the ledger, for reads of the whole log.
    fn ledger(&self) -> Ledger {
        self.whole_log().ledger()
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
        self.whole_log().events_by_uuid(uuid, org).await
    }

    /// Returns the events at these positions, in any order; positions without an event are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<SyncEvent>, StoreError> {
        self.whole_log().events_at(positions).await
    }

    /// Returns the original JSON of events.
    ///
    /// # Errors
    /// The database's.
    pub async fn details_at(&self, positions: &[Position]) -> Result<Vec<(Position, String)>, StoreError> {
        self.whole_log().details_at(positions).await
    }

    /// Returns the arrivals of events, in any order; positions without an event are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn arrivals_at(&self, positions: &[Position]) -> Result<Vec<ArrivalRecord>, StoreError> {
        self.whole_log().arrivals_at(positions).await
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
        self.whole_log().catalogue().applications(wanted, request).await
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
        self.whole_log().catalogue().application_instances(wanted, request).await
    }

    /// Returns the applications with these orgs and keys, in any order; unknown ones are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn applications_at(&self, keys: &[(&str, &str)]) -> Result<Vec<Application>, StoreError> {
        self.whole_log().catalogue().applications_at(keys).await
    }

    /// Returns the application instances with these orgs and ids, in any order; unknown ones are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn application_instances_at(
        &self,
        keys: &[(&str, &str)],
    ) -> Result<Vec<ApplicationInstance>, StoreError> {
        self.whole_log().catalogue().application_instances_at(keys).await
    }

    /// Returns the cursor of each org's System Log.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_cursors(&self) -> Result<Vec<PollCursor>, StoreError> {
        self.ledger().poll_cursors().await
    }

    /// Returns the numbers of events by org and source.
    ///
    /// # Errors
    /// The database's.
    pub async fn tallies(&self) -> Result<Vec<IngestTally>, StoreError> {
        self.ledger().tallies().await
    }

    /// Returns the last refused request of each org that has one.
    ///
    /// # Errors
    /// The database's.
    pub async fn hook_refusals(&self) -> Result<Vec<HookRefusal>, StoreError> {
        self.ledger().hook_refusals().await
    }

    /// Returns the periods of a range that were read completely from an org's System Log, ordered by start.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_windows(
        &self,
        org: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
        self.ledger().read_windows(org, from, until).await
    }

    /// Counts the events of an org in parts of a time range that do not overlap. `offered` lists the event types that
    /// Okta offers to event hooks.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_stretches(
        &self,
        org: &str,
        stretches: &[Stretch],
        offered: &[&str],
    ) -> Result<Vec<StretchCount>, StoreError> {
        self.whole_log().count_stretches(org, stretches, offered).await
    }

    /// Returns a page of rejections, the newest first. A page of large rejections has fewer items than requested.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections(&self, request: &PageRequest<i64>) -> Result<Page<StoredRejection>, StoreError> {
        self.ledger().rejections(&RejectionFilter::default(), request).await
    }

    /// Returns the rejections with these ids; None for one that no longer fits into the response.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections_at(&self, ids: &[i64]) -> Result<Vec<(i64, Option<StoredRejection>)>, StoreError> {
        self.ledger().rejections_at(ids).await
    }
}
