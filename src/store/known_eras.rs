//! Reads of the log's eras, which a cache makes rare.

use std::sync::Arc;

use super::eras::{ERAS, EraRow, Eras};
use super::{Store, StoreError};
use crate::event::Position;

impl Store {
    /// Returns the known eras; reads them if none are known.
    pub(super) async fn known_eras(&self) -> Result<Arc<Eras>, StoreError> {
        match self.eras.get() {
            Some(eras) => Ok(eras),
            None => self.read_eras().await,
        }
    }

    /// Stores eras in the cache. If the last era has changed, another log may have replaced this one, so the known
    /// partitions are forgotten.
    pub(super) fn keep_eras(&self, rows: Vec<EraRow>) -> Result<Arc<Eras>, StoreError> {
        let tag = self.eras.get().map(|eras| eras.tag());
        let eras = self.eras.keep(rows)?;
        if tag.is_some_and(|tag| tag != eras.tag()) {
            self.months.forget();
        }
        Ok(eras)
    }

    /// Reads the eras from the database.
    async fn read_eras(&self) -> Result<Arc<Eras>, StoreError> {
        let rows: Vec<EraRow> = sqlx::query_as(ERAS).fetch_all(&self.reads).await?;
        self.keep_eras(rows)
    }

    /// Returns the eras of a log that ended in the era with this tag when a statement was executed. Returns None if the
    /// log's eras have changed since: the caller must send the statement again.
    pub(super) async fn eras_ending_in(&self, tag: i64) -> Result<Option<Arc<Eras>>, StoreError> {
        if let Some(eras) = self.eras.ending_in(tag) {
            return Ok(Some(eras));
        }
        Ok(Some(self.read_eras().await?).filter(|eras| eras.tag() == tag))
    }

    /// Returns the database's numbers for positions, with the eras that they belong to.
    ///
    /// # Errors
    /// The database's; [`StoreError::UnknownEra`] for a position of an era that this log does not have.
    pub(super) async fn numbers<const N: usize>(
        &self,
        positions: [Position; N],
    ) -> Result<(Arc<Eras>, [i64; N]), StoreError> {
        let numbered = |eras: &Eras| positions.map(|position| eras.number(position).ok_or(position));
        let mut eras = self.known_eras().await?;
        if numbered(&eras).iter().any(Result::is_err) {
            // Another gateway may have begun the era since the eras were read.
            eras = self.read_eras().await?;
        }
        let mut numbers = [0; N];
        for (number, found) in numbers.iter_mut().zip(numbered(&eras)) {
            *number = found.map_err(StoreError::UnknownEra)?;
        }
        Ok((eras, numbers))
    }
}
