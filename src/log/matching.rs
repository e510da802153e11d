//! The events that match a filter, as one reader may see them.

use super::View;
use crate::event::{
    ActivityBucket, Cursor, Dimension, EventColumns, EventOrder, Filter, Interval, Narrowed, PageRequest, Position,
    Tally,
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

    /// Reads these columns of a page.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(
        &self,
        order: EventOrder,
        request: &PageRequest<Cursor>,
        columns: EventColumns,
    ) -> Result<EventPage, StoreError> {
        self.view.0.store.page(&self.wanted, order, request, columns).await
    }

    /// Counts the events up to a limit. The second value is true if the count is exact.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, up_to: i64) -> Result<(i64, bool), StoreError> {
        self.view.0.store.count(&self.wanted, up_to).await
    }

    /// Counts the events in time buckets, the oldest first and without empty ones. Returns None for more than
    /// [`MAX_BUCKETS`](crate::event::MAX_BUCKETS).
    ///
    /// # Errors
    /// The database's; a time zone that it does not know is [`StoreError::Data`].
    pub async fn activity(
        &self,
        interval: Interval,
        by: Option<Dimension>,
        time_zone: &str,
    ) -> Result<Option<Vec<ActivityBucket>>, StoreError> {
        self.view.0.store.activity(&self.wanted, interval, by, time_zone).await
    }

    /// Counts the events by the keys of a dimension. Returns the `first` most frequent keys, the most frequent first.
    ///
    /// # Errors
    /// The database's.
    pub async fn top(&self, by: Dimension, first: i64) -> Result<Vec<Tally>, StoreError> {
        self.view.0.store.top(&self.wanted, by, first).await
    }

    /// Reads up to `window` events of the log after a position, and returns those that match.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_after(
        &self,
        after: Position,
        window: usize,
        with_details: bool,
    ) -> Result<ReadThrough, StoreError> {
        self.view.0.store.read_after(after, window, &self.wanted, with_details).await
    }
}
