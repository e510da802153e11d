//! The events that match a filter, as one reader may see them.

use super::View;
use crate::event::{
    Cursor, EventColumn, EventColumns, EventOrder, Filter, Histogram, HistogramRequest, Narrowed, PageRequest,
    Position, TallyPage, TopRequest,
};
use crate::store::{EventPage, ReadThrough, StoreError};

/// The events of a view that match a filter. [`View::matching`] narrows the filter to the view's rights once, so that
/// no read of these events goes without them.
#[derive(Clone, Debug)]
pub struct MatchingEvents {
    view: View,
    wanted: Narrowed,
}

impl View {
    /// Returns the events that match a filter.
    pub fn matching(&self, filter: Filter) -> MatchingEvents {
        MatchingEvents { view: self.clone(), wanted: self.rights().narrow(filter) }
    }
}

impl MatchingEvents {
    /// Returns the view.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Returns the filter, narrowed by the view's rights.
    pub const fn filter(&self) -> &Narrowed {
        &self.wanted
    }

    /// Reads those of these columns of a page that may be seen.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(
        &self,
        order: EventOrder,
        request: &PageRequest<Cursor>,
        columns: EventColumns,
    ) -> Result<EventPage, StoreError> {
        let columns = columns.intersection(self.view.rights().columns());
        self.view.0.store.page(&self.wanted, order, request, columns).await
    }

    /// Counts the events through a position, up to a limit. The second value is true if the count is exact.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, up_to: i64, through: Position) -> Result<(i64, bool), StoreError> {
        self.view.0.store.count(&self.wanted, up_to, through).await
    }

    /// Counts the events through a position in buckets of time. Returns None for more than
    /// [`MAX_BUCKETS`](crate::event::MAX_BUCKETS).
    ///
    /// # Errors
    /// The database's; a time zone that it does not know is [`StoreError::Data`].
    pub async fn histogram(
        &self,
        request: &HistogramRequest,
        through: Position,
    ) -> Result<Option<Histogram>, StoreError> {
        self.view.0.store.histogram(&self.wanted, request, through).await
    }

    /// Counts the events through a position by the keys of a dimension, and returns a page of the most frequent keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn top(&self, request: &TopRequest, through: Position) -> Result<TallyPage, StoreError> {
        self.view.0.store.top(&self.wanted, request, through).await
    }

    /// Reads up to `window` events of the log after a position, and returns those that match, without the values that may not
    /// be seen.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_after(
        &self,
        after: Position,
        window: usize,
        with_details: bool,
    ) -> Result<ReadThrough, StoreError> {
        let with_details = with_details && self.view.rights().columns().has(EventColumn::Details);
        let mut read = self.view.0.store.read_after(after, window, &self.wanted, with_details).await?;
        read.events = self.view.mask(read.events);
        Ok(read)
    }
}
