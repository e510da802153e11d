//! Decoding of events from the rows of `sync_event`.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::eras::Eras;
use super::row_error::RowError;
use super::{StoreError, raw_json};
use crate::event::{
    COLUMNS, ColumnSpec, Details, EventColumn, EventColumns, EventFields, EventTexts, IngestSource, Occurrence,
    Position, SyncEvent, Timestamp,
};

/// The columns of a row, and the index of each.
#[derive(Debug)]
pub(super) struct Layout {
    places: [Option<u8>; EventColumn::COUNT],
    /// The columns of the alias `e`, as a list in SQL.
    pub(super) list: String,
}

impl Layout {
    /// Returns the layout of a row with these columns and with the columns by which pages are ordered.
    pub(super) fn of(columns: EventColumns) -> Arc<Self> {
        let columns = columns.union(EventColumns::KEYS);
        let wanted = |spec: &&ColumnSpec| columns.has(spec.column);
        let mut places = [None; EventColumn::COUNT];
        let mut names = Vec::new();
        for spec in COLUMNS.iter().filter(wanted) {
            if let (Some(name), Some(place)) = (spec.sql_name(), places.get_mut(spec.column.index())) {
                *place = u8::try_from(names.len()).ok();
                names.push(format!("e.{name}"));
            }
        }
        Arc::new(Self { places, list: names.join(", ") })
    }

    fn place(&self, column: EventColumn) -> Option<usize> {
        self.places.get(column.index()).copied().flatten().map(usize::from)
    }
}

/// An event in the row that the database sent. The row has only the columns that the reader wants.
#[derive(Debug)]
pub struct StoredEvent {
    row: PgRow,
    layout: Arc<Layout>,
    position: Position,
    published: Timestamp,
    uuid: Uuid,
    received_at: Timestamp,
    first_source: IngestSource,
    /// The event's JSON, if the row has it.
    details: Option<String>,
}

impl StoredEvent {
    /// Returns the event in a row, or None if an outer join found no event. Texts need no check: PostgreSQL sends
    /// UTF-8, and the table declares those that every event has as NOT NULL.
    ///
    /// # Errors
    /// A column that every event has is null or cannot be decoded.
    fn new(row: PgRow, layout: Arc<Layout>, eras: &Eras) -> Result<Option<Self>, StoreError> {
        let Some(number) = row.try_get_unchecked::<Option<i64>, _>(0)? else { return Ok(None) };
        let unread = RowDecoder { row: &row, layout: &layout, number };
        let position = eras.position(number);
        let position = position.ok_or_else(|| unread.error(EventColumn::Position, "is in no era of this log"))?;
        let published = unread.value::<OffsetDateTime>(EventColumn::Published)?.map(Timestamp::from);
        let published = published.ok_or_else(|| unread.error(EventColumn::Published, "was not asked for"))?;
        let received_at = unread.value::<OffsetDateTime>(EventColumn::ReceivedAt)?.map_or(published, Timestamp::from);
        let uuid = unread.value(EventColumn::Uuid)?.unwrap_or_default();
        let first_source =
            unread.value::<i16>(EventColumn::FirstSource)?.map_or(Ok(IngestSource::EventHook), |code| {
                let unknown = || unread.error(EventColumn::FirstSource, format!("is {code}, which names no way in"));
                IngestSource::from_code(code).ok_or_else(unknown)
            })?;
        let raw = unread.value::<&[u8]>(EventColumn::Details)?.map(raw_json::decompress).transpose();
        let details = raw.map_err(|error| unread.error(EventColumn::Details, error.to_string()))?;
        Ok(Some(Self { row, layout, position, published, uuid, received_at, first_source, details }))
    }

    /// Returns the bytes of a column as the database sent them; None for null. Decoding a text by sqlx would cost more than
    /// printing it.
    fn bytes(&self, column: EventColumn) -> Option<&[u8]> {
        let value = self.row.try_get_raw(self.layout.place(column)?).ok()?;
        if value.is_null() { None } else { value.as_bytes().ok() }
    }

    /// Returns the event with copies of its texts, independent of the row.
    pub fn to_event(&self) -> SyncEvent {
        let mut texts = EventTexts::default();
        for column in EventColumn::texts() {
            texts.set(column, self.text(column));
        }
        SyncEvent {
            position: self.position,
            org: self.text(EventColumn::Org).unwrap_or_default().to_owned(),
            occurrence: Occurrence { uuid: self.uuid, published: self.published, texts },
            received_at: self.received_at,
            first_source: self.first_source,
            details: self.text(EventColumn::Details).map_or(Details::NotRead, |raw| Details::Read(Arc::from(raw))),
        }
    }
}

impl EventFields for StoredEvent {
    fn position(&self) -> Position {
        self.position
    }

    fn published(&self) -> Timestamp {
        self.published
    }

    fn received_at(&self) -> Timestamp {
        self.received_at
    }

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn first_source(&self) -> IngestSource {
        self.first_source
    }

    fn text(&self, column: EventColumn) -> Option<&str> {
        if column == EventColumn::Details {
            return self.details.as_deref();
        }
        match self.bytes(column) {
            // Other columns have a binary form.
            Some(bytes) if column.is_text() => std::str::from_utf8(bytes).ok(),
            Some(_) => None,
            None => column.constant().map(|(text, _)| text),
        }
    }

    fn has(&self, column: EventColumn) -> bool {
        self.bytes(column).is_some() || self.text(column).is_some()
    }
}

/// A row whose columns are being decoded.
struct RowDecoder<'r> {
    row: &'r PgRow,
    layout: &'r Layout,
    number: i64,
}

impl<'r> RowDecoder<'r> {
    fn error(&self, column: EventColumn, fault: impl Into<String>) -> StoreError {
        let column = column.spec().sql_name().unwrap_or_default();
        RowError { column, number: self.number, fault: fault.into() }.into()
    }

    /// Returns the value of a column that is never null, or None if the layout does not have the column.
    fn value<T>(&self, column: EventColumn) -> Result<Option<T>, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Postgres>,
    {
        let Some(place) = self.layout.place(column) else { return Ok(None) };
        // The layout determines the type; sqlx's check of each value's type would take longer than decoding the value.
        match self.row.try_get_unchecked::<Option<T>, _>(place) {
            Ok(Some(value)) => Ok(Some(value)),
            Ok(None) => Err(self.error(column, "is null")),
            Err(error) => Err(self.error(column, format!("is of another form: {error}"))),
        }
    }
}

/// Returns the events in rows, without the rows in which an outer join found none.
pub(super) fn events(rows: Vec<PgRow>, layout: &Arc<Layout>, eras: &Eras) -> Result<Vec<StoredEvent>, StoreError> {
    rows.into_iter().filter_map(|row| StoredEvent::new(row, Arc::clone(layout), eras).transpose()).collect()
}
