//! Ingestion as one reader may see it: of each org that the reader sees as a whole.

use super::View;
use crate::event::{Page, PageRequest, Scope, Stretch, Timestamp};
use crate::ledger::{HookRefusal, IngestTally, Ledger, PollCursor, RejectionFilter, StoredRejection};
use crate::store::{StoreError, StretchCount};

impl View {
    /// Returns the ledger, whose rows the caller must narrow to the orgs of which the ingestion may be seen.
    fn ledger(&self) -> Ledger {
        self.0.store.ledger()
    }

    /// Returns the orgs of which the ingestion may be seen; None for every org.
    fn orgs(&self) -> Option<Vec<String>> {
        if self.rights().has(Scope::IngestionRead) { self.rights().rows().whole_orgs() } else { Some(Vec::new()) }
    }

    /// Keeps the rows of orgs of which the ingestion may be seen.
    fn of_orgs<T>(&self, rows: Vec<T>, org: impl Fn(&T) -> &str) -> Vec<T> {
        rows.into_iter().filter(|row| self.rights().see_ingestion_of(org(row))).collect()
    }

    /// Returns the cursor of each org's System Log.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_cursors(&self) -> Result<Vec<PollCursor>, StoreError> {
        self.ledger().poll_cursors().await.map(|cursors| self.of_orgs(cursors, |cursor| &cursor.org))
    }

    /// Returns the numbers of events by org and source.
    ///
    /// # Errors
    /// The database's.
    pub async fn tallies(&self) -> Result<Vec<IngestTally>, StoreError> {
        self.ledger().tallies().await.map(|tallies| self.of_orgs(tallies, |tally| &tally.org))
    }

    /// Returns the last refused request of each org that has one.
    ///
    /// # Errors
    /// The database's.
    pub async fn hook_refusals(&self) -> Result<Vec<HookRefusal>, StoreError> {
        self.ledger().hook_refusals().await.map(|refusals| self.of_orgs(refusals, |refusal| &refusal.org))
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
        if !self.rights().see_ingestion_of(org) {
            return Ok(Vec::new());
        }
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
        if !self.rights().see_ingestion_of(org) {
            return Ok(vec![StretchCount::default(); stretches.len()]);
        }
        self.0.store.count_stretches(org, stretches, offered).await
    }

    /// Returns a page of rejections, the newest first. A page of large rejections has fewer items than requested.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections(&self, request: &PageRequest<i64>) -> Result<Page<StoredRejection>, StoreError> {
        let orgs = self.orgs();
        let mut page = self.ledger().rejections(&RejectionFilter::default(), orgs.as_deref(), request).await?;
        for rejection in &mut page.items {
            self.mask_rejection(rejection);
        }
        Ok(page)
    }

    /// Returns the rejections with these ids; None for one that no longer fits into the response.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections_at(&self, ids: &[i64]) -> Result<Vec<(i64, Option<StoredRejection>)>, StoreError> {
        let mut found = self.ledger().rejections_at(ids, self.orgs().as_deref()).await?;
        for rejection in found.iter_mut().filter_map(|(_, rejection)| rejection.as_mut()) {
            self.mask_rejection(rejection);
        }
        Ok(found)
    }

    /// Removes from a rejection the bytes of the record, unless they may be seen.
    fn mask_rejection(&self, rejection: &mut StoredRejection) {
        if !self.rights().has(Scope::EventsDetails) {
            rejection.raw = Vec::new();
        }
    }
}
