//! A view: the log as one reader may see it, and the only way to read it.

use std::sync::Arc;

use uuid::Uuid;

use super::Log;
use crate::event::{
    Application, ApplicationInstance, CatalogueKey, Page, PageRequest, Position, Rights, Rows, Stretch, SyncEvent,
    Timestamp,
};
use crate::store::{
    ApplicationFilter, ArrivalRecord, Credential, HookRefusal, IngestTally, InstanceFilter, Ledger, PollCursor,
    RejectionFilter, Store, StoreError, StoredRejection, StretchCount,
};

/// The log as one reader may see it. Queries, loaders, feeds and catch-up read the log through a view alone, so that no
/// read goes without the reader's rights, and each takes its connection from the share of the reader's credential.
/// [`Log::view`] alone makes one. Clones are the same view.
///
/// A view hides the store beneath it, and so does the log:
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
/// The store takes no filter to which no rights were applied:
///
/// ```compile_fail,E0308
/// async fn count(store: &sluice::store::Store) {
///     let _counted = store.count(&sluice::event::Filter::default(), 10).await;
/// }
/// ```
///
/// ```
/// async fn count(view: &sluice::log::View) {
///     let _counted = view.matching(sluice::event::Filter::default()).count(10).await;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct View(pub(super) Arc<ViewState>);

#[derive(Debug)]
pub(super) struct ViewState {
    pub(super) log: Log,
    /// The store, as the credential uses it.
    pub(super) store: Store,
    pub(super) rights: Rights,
}

impl Log {
    /// Makes the view of a reader with these rights, for whom the database is read on behalf of a credential.
    pub fn view(&self, rights: Rights, credential: &Credential) -> View {
        View(Arc::new(ViewState { log: self.clone(), store: self.0.store.for_credential(credential), rights }))
    }
}

impl View {
    /// Makes a view of a log whose database is not there, for tests that read nothing.
    #[cfg(test)]
    pub(crate) fn without_database() -> Self {
        Log::without_database().view(Rights::everything(), &Credential::Gateway)
    }

    /// Returns the same view, for which the database is read on behalf of another credential, not within a request.
    #[must_use]
    pub fn for_credential(&self, credential: &Credential) -> Self {
        let ViewState { log, rights, .. } = &*self.0;
        log.view(rights.clone(), credential)
    }

    /// Returns the same view for one request, a limited number of whose statements are executed at once.
    #[must_use]
    pub fn for_request(&self) -> Self {
        let ViewState { log, store, rights } = &*self.0;
        Self(Arc::new(ViewState { log: log.clone(), store: store.for_request(), rights: rights.clone() }))
    }

    /// Returns the rights with which the log is read.
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Returns the store for a read that no filter narrows. The pattern covers all rights while there is one kind of
    /// [`Rows`]. Another kind fails to compile here, until each of these reads heeds it.
    fn whole_log(&self) -> &Store {
        let Rows::All = self.rights().rows();
        &self.0.store
    }

    /// Returns the ledger of the ways in, all of whose reads are of the whole log.
    fn ledger(&self) -> Ledger {
        self.whole_log().ledger()
    }

    /// Returns the newest position. A position tells how many events there are, and not which, so it needs no rights.
    ///
    /// # Errors
    /// The database's.
    pub async fn head(&self) -> Result<Position, StoreError> {
        self.0.store.head().await
    }

    /// Returns true if the database knows a time zone by this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn knows_time_zone(&self, name: &str) -> Result<bool, StoreError> {
        self.0.store.knows_time_zone(name).await
    }

    /// Returns the events with a uuid: one, or one for each of several orgs.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_by_uuid(&self, uuid: Uuid, org: Option<&str>) -> Result<Vec<SyncEvent>, StoreError> {
        self.whole_log().events_by_uuid(uuid, org).await
    }

    /// Returns the events at these positions, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<SyncEvent>, StoreError> {
        self.whole_log().events_at(positions).await
    }

    /// Returns the JSON of events as Okta sent them.
    ///
    /// # Errors
    /// The database's.
    pub async fn details_at(&self, positions: &[Position]) -> Result<Vec<(Position, String)>, StoreError> {
        self.whole_log().details_at(positions).await
    }

    /// Returns the arrivals of events, in any order; those that are not there are left out.
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
        self.whole_log().applications(wanted, request).await
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
        self.whole_log().application_instances(wanted, request).await
    }

    /// Returns the applications with these orgs and keys, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn applications_at(&self, keys: &[(&str, &str)]) -> Result<Vec<Application>, StoreError> {
        self.whole_log().applications_at(keys).await
    }

    /// Returns the application instances with these orgs and ids, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn application_instances_at(
        &self,
        keys: &[(&str, &str)],
    ) -> Result<Vec<ApplicationInstance>, StoreError> {
        self.whole_log().application_instances_at(keys).await
    }

    /// Returns how far each org's System Log is read.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_cursors(&self) -> Result<Vec<PollCursor>, StoreError> {
        self.ledger().poll_cursors().await
    }

    /// Returns how much has come by every way, by org and way.
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

    /// Returns the stretches of a range that were read whole from an org's System Log, in the order of begins.
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

    /// Counts the events of an org in stretches of time that do not overlap. `offered` are the event types that hooks
    /// can bring.
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

    /// Returns a page of what was rejected, the newest first. A page has fewer items than it has room for where they are
    /// large.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections(&self, request: &PageRequest<i64>) -> Result<Page<StoredRejection>, StoreError> {
        self.ledger().rejections(&RejectionFilter::default(), request).await
    }

    /// Returns what was rejected under these ids; None for what no longer fits into one answer.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections_at(&self, ids: &[i64]) -> Result<Vec<(i64, Option<StoredRejection>)>, StoreError> {
        self.ledger().rejections_at(ids).await
    }
}
