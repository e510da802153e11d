//! The arrivals of events: the ways in that brought each event, and the delivery that brought it first.

use sqlx::FromRow as _;
use time::OffsetDateTime;

use super::eras::Eras;
use super::{Store, StoreError};
use crate::event::{IngestSource, Position, Timestamp};
use crate::postgres::named_row::named_row;

/// The arrivals of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivalRecord {
    /// The event's position.
    pub position: Position,
    /// The ways in that have brought the event, in the order of their first arrivals.
    pub received_via: Vec<IngestSource>,
    /// `eventId` of the event hook delivery that first brought the event; None without a delivery.
    pub event_id: Option<String>,
    /// `eventTime` of that delivery.
    pub event_time: Option<Timestamp>,
    /// `source` of that delivery.
    pub source: Option<String>,
    /// The stored headers of that delivery's request, as JSON.
    pub headers: Option<String>,
}

named_row! {
    struct Row {
        /// The database's number for the event's position.
        number: i64,
        event_hook_at: Option<OffsetDateTime>,
        system_log_at: Option<OffsetDateTime>,
        workflows_at: Option<OffsetDateTime>,
        import_at: Option<OffsetDateTime>,
        log_stream_at: Option<OffsetDateTime>,
        event_id: Option<String>,
        event_time: Option<OffsetDateTime>,
        source: Option<String>,
        headers: Option<String>,
    }
}

impl Store {
    /// Returns the arrivals of the events at these positions, in any order.
    ///
    /// # Errors
    /// The database's.
    pub async fn arrivals_at(&self, positions: &[Position]) -> Result<Vec<ArrivalRecord>, StoreError> {
        let sql = "SELECT a.position AS number, a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at, \
                   a.log_stream_at, d.event_id, d.event_time, d.source, d.headers, h.era \
                   FROM log_head h CROSS JOIN arrival a LEFT JOIN delivery d ON d.id = a.delivery \
                   WHERE a.position = ANY($1) AND h.tableoid = h.home";
        let (rows, eras) = self.rows_at(positions, sql).await?;
        rows.iter().map(|row| Row::from_row(row)?.into_record(&eras)).collect()
    }
}

impl Row {
    fn into_record(self, eras: &Eras) -> Result<ArrivalRecord, StoreError> {
        let mut ways: Vec<_> =
            [self.event_hook_at, self.system_log_at, self.workflows_at, self.import_at, self.log_stream_at]
                .into_iter()
                .zip(IngestSource::ALL)
                .filter_map(|(at, source)| Some((at?, source)))
                .collect();
        ways.sort();
        Ok(ArrivalRecord {
            position: eras.position(self.number).ok_or(StoreError::DamagedEras)?,
            received_via: ways.into_iter().map(|(_, source)| source).collect(),
            event_id: self.event_id,
            event_time: self.event_time.map(Timestamp::from),
            source: self.source,
            headers: self.headers,
        })
    }
}
