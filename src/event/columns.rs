//! An event column by column: what is read of it and printed, wherever it stands.

use uuid::Uuid;

use super::{Details, Entity, IngestSource, Position, SyncEvent, Timestamp};

/// One thing that the log knows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventColumn {
    /// Its place in the log.
    Position,
    /// When it happened.
    Published,
    /// The configured name of the org.
    Org,
    /// Okta's identity of it.
    Uuid,
    /// Okta's event type.
    EventType,
    /// Okta's `displayMessage`.
    Message,
    /// Okta's version of the event's form.
    Version,
    /// Okta's severity.
    Severity,
    /// Okta's `outcome.result`.
    OutcomeResult,
    /// Okta's `outcome.reason`.
    OutcomeReason,
    /// What is told of the admin.
    Admin(EntityColumn),
    /// What is told of the user.
    User(EntityColumn),
    /// What is told of the application user.
    ApplicationUser(EntityColumn),
    /// What is told of the application instance.
    Application(EntityColumn),
    /// Okta's key of the application.
    ApplicationName,
    /// `debugContext.debugData`.
    DebugData,
    /// When sluice stored it.
    ReceivedAt,
    /// The way that brought it first.
    FirstSource,
    /// The event as Okta sent it.
    Details,
}

/// One thing that an event tells of somebody or something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityColumn {
    /// Okta's id; there is one, perhaps an empty one, where there is such an entity.
    Id,
    /// The alternate id.
    AlternateId,
    /// The display name.
    DisplayName,
    /// Okta's type.
    Kind,
}

impl EntityColumn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Id, Self::AlternateId, Self::DisplayName, Self::Kind];
}

impl EventColumn {
    /// How many there are.
    pub const COUNT: usize = 31;

    /// Its number, from 0 on.
    pub const fn index(self) -> usize {
        match self {
            Self::Position => 0,
            Self::Published => 1,
            Self::Org => 2,
            Self::Uuid => 3,
            Self::EventType => 4,
            Self::Message => 5,
            Self::Version => 6,
            Self::Severity => 7,
            Self::OutcomeResult => 8,
            Self::OutcomeReason => 9,
            Self::ApplicationName => 10,
            Self::DebugData => 11,
            Self::ReceivedAt => 12,
            Self::FirstSource => 13,
            Self::Details => 14,
            Self::Admin(column) => 15 + column as usize,
            Self::User(column) => 19 + column as usize,
            Self::ApplicationUser(column) => 23 + column as usize,
            Self::Application(column) => 27 + column as usize,
        }
    }

    /// Every column, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Position,
            Self::Published,
            Self::Org,
            Self::Uuid,
            Self::EventType,
            Self::Message,
            Self::Version,
            Self::Severity,
            Self::OutcomeResult,
            Self::OutcomeReason,
            Self::ApplicationName,
            Self::DebugData,
            Self::ReceivedAt,
            Self::FirstSource,
            Self::Details,
        ];
        let entities: [fn(EntityColumn) -> Self; 4] =
            [Self::Admin, Self::User, Self::ApplicationUser, Self::Application];
        plain.into_iter().chain(entities.into_iter().flat_map(|entity| EntityColumn::ALL.map(entity)))
    }
}

/// A set of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventColumns(u32);

impl EventColumns {
    /// What is always read: where an event stands in every order.
    pub const KEYS: Self = Self(0b11);

    /// Everything but the event as Okta sent it.
    pub const WITHOUT_DETAILS: Self = Self(!(1 << EventColumn::Details.index()) & ((1 << EventColumn::COUNT) - 1));

    /// Adds one.
    #[must_use]
    pub const fn with(self, column: EventColumn) -> Self {
        Self(self.0 | 1 << column.index())
    }

    /// All that are in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one is in it.
    pub const fn has(self, column: EventColumn) -> bool {
        self.0 & (1 << column.index()) != 0
    }
}

/// An event in memory or in a row of the database, column by column. What was not read is as if it were missing.
pub trait EventFields {
    /// Its place in the log.
    fn position(&self) -> Position;
    /// When it happened.
    fn published(&self) -> Timestamp;
    /// When sluice stored it.
    fn received_at(&self) -> Timestamp;
    /// Okta's identity of it.
    fn uuid(&self) -> Uuid;
    /// The way that brought it first.
    fn first_source(&self) -> IngestSource;
    /// A column that is text; None for others.
    fn text(&self, column: EventColumn) -> Option<&str>;
    /// Whether there is something in a column that is text.
    fn has(&self, column: EventColumn) -> bool {
        self.text(column).is_some()
    }
}

impl EventFields for SyncEvent {
    fn position(&self) -> Position {
        self.position
    }

    fn published(&self) -> Timestamp {
        self.occurrence.published
    }

    fn received_at(&self) -> Timestamp {
        self.received_at
    }

    fn uuid(&self) -> Uuid {
        self.occurrence.uuid
    }

    fn first_source(&self) -> IngestSource {
        self.first_source
    }

    fn text(&self, column: EventColumn) -> Option<&str> {
        let occurrence = &self.occurrence;
        match column {
            EventColumn::Org => Some(&self.org),
            EventColumn::EventType => Some(&occurrence.event_type),
            EventColumn::Message => occurrence.message.as_deref(),
            EventColumn::Version => occurrence.version.as_deref(),
            EventColumn::Severity => occurrence.severity.as_deref(),
            EventColumn::OutcomeResult => occurrence.outcome_result.as_deref(),
            EventColumn::OutcomeReason => occurrence.outcome_reason.as_deref(),
            EventColumn::Admin(column) => entity_text(occurrence.admin.as_ref(), column),
            EventColumn::User(column) => entity_text(occurrence.user.as_ref(), column),
            EventColumn::ApplicationUser(column) => entity_text(occurrence.application_user.as_ref(), column),
            EventColumn::Application(column) => entity_text(occurrence.application.as_ref(), column),
            EventColumn::ApplicationName => occurrence.application_name.as_deref(),
            EventColumn::DebugData => occurrence.debug_data.as_deref(),
            EventColumn::Details => match &self.details {
                Details::Read(raw) => Some(raw),
                Details::NotRead => None,
            },
            EventColumn::Position
            | EventColumn::Published
            | EventColumn::Uuid
            | EventColumn::ReceivedAt
            | EventColumn::FirstSource => None,
        }
    }
}

fn entity_text(entity: Option<&Entity>, column: EntityColumn) -> Option<&str> {
    let entity = entity?;
    match column {
        EntityColumn::Id => Some(&entity.id),
        EntityColumn::AlternateId => entity.alternate_id.as_deref(),
        EntityColumn::DisplayName => entity.display_name.as_deref(),
        EntityColumn::Kind => Some(&entity.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_own_number() {
        assert!(EventColumn::all().map(EventColumn::index).eq(0..EventColumn::COUNT));
        let all = EventColumn::all().fold(EventColumns::KEYS, EventColumns::with);
        assert_eq!(EventColumns::WITHOUT_DETAILS.with(EventColumn::Details), all);
        assert!(!EventColumns::WITHOUT_DETAILS.has(EventColumn::Details));
    }
}
