//! Rows of `sync_event` as events.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::eras::Eras;
use crate::event::{
    Details, Entity, EntityColumn, EventColumn, EventColumns, EventFields, IngestSource, Occurrence, Position,
    SyncEvent, Timestamp,
};

/// How a column is called in SQL, of an alias `e`; the raw event is that of an alias `r`. None for what is the same in
/// every row.
const fn sql(column: EventColumn) -> Option<&'static str> {
    Some(match column {
        EventColumn::Position => "e.position",
        EventColumn::Published => "e.published",
        EventColumn::Org => "e.org",
        EventColumn::Uuid => "e.uuid",
        EventColumn::EventType => "e.event_type",
        EventColumn::Message => "e.message",
        EventColumn::Version => "e.version",
        EventColumn::Severity => "e.severity",
        EventColumn::OutcomeResult => "e.outcome_result",
        EventColumn::OutcomeReason => "e.outcome_reason",
        EventColumn::Admin(EntityColumn::Id) => "e.admin_id",
        EventColumn::Admin(EntityColumn::AlternateId) => "e.admin_alternate_id",
        EventColumn::Admin(EntityColumn::DisplayName) => "e.admin_display_name",
        EventColumn::Admin(EntityColumn::Kind) => "e.admin_type",
        EventColumn::User(EntityColumn::Id) => "e.user_id",
        EventColumn::User(EntityColumn::AlternateId) => "e.user_alternate_id",
        EventColumn::User(EntityColumn::DisplayName) => "e.user_display_name",
        EventColumn::ApplicationUser(EntityColumn::Id) => "e.application_user_id",
        EventColumn::ApplicationUser(EntityColumn::AlternateId) => "e.application_user_alternate_id",
        EventColumn::ApplicationUser(EntityColumn::DisplayName) => "e.application_user_display_name",
        EventColumn::Application(EntityColumn::Id) => "e.instance_id",
        EventColumn::Application(EntityColumn::AlternateId) => "e.instance_label",
        EventColumn::Application(EntityColumn::DisplayName) => "e.instance_display_name",
        EventColumn::ApplicationName => "e.application_name",
        EventColumn::DebugData => "e.debug_data",
        EventColumn::ReceivedAt => "e.received_at",
        EventColumn::FirstSource => "e.first_source",
        EventColumn::Details => "r.raw",
        EventColumn::User(EntityColumn::Kind)
        | EventColumn::ApplicationUser(EntityColumn::Kind)
        | EventColumn::Application(EntityColumn::Kind) => return None,
    })
}

/// Which column of a row holds what.
#[derive(Debug)]
pub(super) struct Layout {
    places: [Option<u8>; EventColumn::COUNT],
    /// The columns of `e`, as a list in SQL.
    pub(super) of_event: String,
    /// All columns, as a list in SQL.
    pub(super) all: String,
}

impl Layout {
    /// A row of these columns, and of where the event stands.
    pub(super) fn of(columns: EventColumns) -> Arc<Self> {
        let columns = columns.union(EventColumns::KEYS);
        let mut places = [None; EventColumn::COUNT];
        let mut names = Vec::new();
        for column in EventColumn::all().filter(|column| columns.has(*column) && *column != EventColumn::Details) {
            if let Some(name) = sql(column) {
                places[column.index()] = u8::try_from(names.len()).ok();
                names.push(name);
            }
        }
        let of_event = names.join(", ");
        if columns.has(EventColumn::Details) {
            places[EventColumn::Details.index()] = u8::try_from(names.len()).ok();
            names.extend(sql(EventColumn::Details));
        }
        Arc::new(Self { places, of_event, all: names.join(", ") })
    }

    fn place(&self, column: EventColumn) -> Option<usize> {
        self.places.get(column.index()).copied().flatten().map(usize::from)
    }

    /// Whether the raw event is in the rows.
    pub(super) const fn has_details(&self) -> bool {
        self.places[EventColumn::Details.index()].is_some()
    }
}

/// An event in a row as the database sent it, of which those columns were read that were wanted.
#[derive(Debug)]
pub struct StoredEvent {
    row: PgRow,
    layout: Arc<Layout>,
    position: Position,
    published: Timestamp,
    uuid: Uuid,
    received_at: Timestamp,
    first_source: IngestSource,
}

/// A column of a row that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the row of the event with the number {number} cannot be decoded: {table}.{column} {fault}")]
pub struct RowError {
    /// Name of the table.
    pub table: &'static str,
    /// Name of the column.
    pub column: &'static str,
    /// The database's number for the event's position.
    pub number: i64,
    /// Fault of the value, such as `is null`.
    pub fault: String,
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
        Ok(Some(Self { row, layout, position, published, uuid, received_at, first_source }))
    }

    /// A column as the database sent it, which for a text are its bytes: to read that through sqlx's types costs more than
    /// to print it.
    fn bytes(&self, column: EventColumn) -> Option<&[u8]> {
        let value = self.row.try_get_raw(self.layout.place(column)?).ok()?;
        if value.is_null() { None } else { value.as_bytes().ok() }
    }

    /// The event, taken out of its row.
    pub fn to_event(&self) -> SyncEvent {
        let owned = |column: EventColumn| self.text(column).map(str::to_owned);
        let entity = |of: fn(EntityColumn) -> EventColumn| {
            Some(Entity {
                id: owned(of(EntityColumn::Id))?,
                alternate_id: owned(of(EntityColumn::AlternateId)),
                display_name: owned(of(EntityColumn::DisplayName)),
                kind: owned(of(EntityColumn::Kind)).unwrap_or_default(),
            })
        };
        SyncEvent {
            position: self.position,
            org: owned(EventColumn::Org).unwrap_or_default(),
            occurrence: Occurrence {
                uuid: self.uuid,
                event_type: owned(EventColumn::EventType).unwrap_or_default(),
                published: self.published,
                message: owned(EventColumn::Message),
                version: owned(EventColumn::Version),
                severity: owned(EventColumn::Severity),
                outcome_result: owned(EventColumn::OutcomeResult),
                outcome_reason: owned(EventColumn::OutcomeReason),
                admin: entity(EventColumn::Admin),
                user: entity(EventColumn::User),
                application_user: entity(EventColumn::ApplicationUser),
                application: entity(EventColumn::Application),
                application_name: owned(EventColumn::ApplicationName),
                debug_data: owned(EventColumn::DebugData),
            },
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
        match column {
            EventColumn::User(EntityColumn::Kind) => Some("User"),
            EventColumn::ApplicationUser(EntityColumn::Kind) => Some("AppUser"),
            EventColumn::Application(EntityColumn::Kind) => Some("AppInstance"),
            EventColumn::Position
            | EventColumn::Published
            | EventColumn::Uuid
            | EventColumn::ReceivedAt
            | EventColumn::FirstSource => None,
            text => std::str::from_utf8(self.bytes(text)?).ok(),
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
        let (table, column) = match sql(column).and_then(|name| name.split_once('.')) {
            Some(("r", column)) => ("sync_event_raw", column),
            Some((_, column)) => ("sync_event", column),
            None => ("sync_event", "?"),
        };
        RowError { table, column, number: self.number, fault: fault.into() }.into()
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

/// The events in rows, without those rows in which an outer join found none.
pub(super) fn events(rows: Vec<PgRow>, layout: &Arc<Layout>, eras: &Eras) -> Result<Vec<StoredEvent>, StoreError> {
    rows.into_iter().filter_map(|row| StoredEvent::new(row, Arc::clone(layout), eras).transpose()).collect()
}
