//! The columns of an event. One table maps each column to its name in SQL and in the graph, and statements, rows,
//! messages and responses are loops over that table.

use GraphKind as Kind;
use GraphObject as In;

/// A column of an event. Its number is its place in [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table says what they are")]
pub enum EventColumn {
    Position,
    Published,
    Org,
    Uuid,
    EventType,
    Message,
    Version,
    Severity,
    OutcomeResult,
    OutcomeReason,
    AdminId,
    AdminAlternateId,
    AdminDisplayName,
    AdminType,
    UserId,
    UserAlternateId,
    UserDisplayName,
    ApplicationUserId,
    ApplicationUserAlternateId,
    ApplicationUserDisplayName,
    InstanceId,
    InstanceLabel,
    InstanceDisplayName,
    ApplicationName,
    DebugData,
    TransactionId,
    TransactionType,
    ClientIpAddress,
    ClientUserAgent,
    ClientCity,
    ClientCountry,
    ReceivedAt,
    FirstSource,
    Details,
    UserType,
    ApplicationUserType,
    InstanceType,
}

/// A row of [`COLUMNS`].
#[derive(Clone, Copy, Debug)]
pub struct ColumnSpec {
    /// The column.
    pub column: EventColumn,
    /// The place of its values in the database.
    pub stored: Stored,
    /// The field of the graph that has its values; None for a column that the graph does not show.
    pub graph: Option<GraphField>,
}

/// The place of a column's values in the database.
#[derive(Clone, Copy, Debug)]
pub enum Stored {
    /// A column of the table `sync_event`: its name and its type.
    Event(&'static str, SqlType),
    /// No place: an event that has the other column has this text.
    Constant(&'static str, EventColumn),
}

/// The SQL type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// `bytea`.
    Bytea,
    /// `bigint`.
    Bigint,
    /// `smallint`.
    Smallint,
    /// `text`.
    Text,
    /// `timestamptz`.
    Timestamp,
    /// `uuid`.
    Uuid,
}

/// A field of the graph.
#[derive(Clone, Copy, Debug)]
pub struct GraphField {
    /// The object that has the field.
    pub object: GraphObject,
    /// The field's name.
    pub name: &'static str,
    /// The form of its values.
    pub kind: GraphKind,
}

/// An object that an event fills in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphObject {
    /// The event itself.
    Event,
    /// `SyncEvent.outcome`.
    Outcome,
    /// `SyncEvent.admin`.
    Admin,
    /// `SyncEvent.user`.
    User,
    /// `SyncEvent.applicationUser`.
    ApplicationUser,
    /// `SyncEvent.application`.
    Application,
    /// `SyncEvent.debugContext`.
    DebugContext,
    /// `SyncEvent.transaction`.
    Transaction,
    /// `SyncEvent.client`.
    Client,
}

/// The form of a column's values in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphKind {
    /// A position.
    Position,
    /// A UUID.
    Uuid,
    /// A time.
    Time,
    /// A severity; null for an unknown one.
    Severity,
    /// A source, by its name in the graph.
    Source,
    /// A text; null where the event has none.
    Text,
    /// A text that is never null where its object is there.
    NonNullText,
    /// A text that is stored as an empty one where Okta left it out; null where it is empty.
    FilledText,
    /// A text that is JSON; null where the event has none.
    Json,
}

/// An object below an event.
#[derive(Clone, Copy, Debug)]
pub struct ObjectSpec {
    /// The object.
    pub object: GraphObject,
    /// The field of the event that has it.
    pub field: &'static str,
    /// The name of its type.
    pub type_name: &'static str,
    /// Columns of which an event has at least one if it has the object.
    pub presence: &'static [EventColumn],
}

/// All columns. Those from `EventType` to `ClientCountry` are an event's texts.
pub const COLUMNS: [ColumnSpec; EventColumn::COUNT] = {
    use EventColumn as C;
    [
        column(C::Position, "position", SqlType::Bigint).shown(In::Event, "position", Kind::Position),
        column(C::Published, "published", SqlType::Timestamp).shown(In::Event, "published", Kind::Time),
        column(C::Org, "org", SqlType::Text).shown(In::Event, "org", Kind::NonNullText),
        column(C::Uuid, "uuid", SqlType::Uuid).shown(In::Event, "uuid", Kind::Uuid),
        text(C::EventType, "event_type").shown(In::Event, "eventType", Kind::NonNullText),
        text(C::Message, "message").shown(In::Event, "message", Kind::Text),
        text(C::Version, "version").shown(In::Event, "version", Kind::Text),
        text(C::Severity, "severity").shown(In::Event, "severity", Kind::Severity),
        text(C::OutcomeResult, "outcome_result").shown(In::Outcome, "result", Kind::NonNullText),
        text(C::OutcomeReason, "outcome_reason").shown(In::Outcome, "reason", Kind::Text),
        text(C::AdminId, "admin_id").shown(In::Admin, "oktaId", Kind::FilledText),
        text(C::AdminAlternateId, "admin_alternate_id").shown(In::Admin, "alternateId", Kind::Text),
        text(C::AdminDisplayName, "admin_display_name").shown(In::Admin, "displayName", Kind::Text),
        text(C::AdminType, "admin_type").shown(In::Admin, "type", Kind::NonNullText),
        text(C::UserId, "user_id").shown(In::User, "oktaId", Kind::FilledText),
        text(C::UserAlternateId, "user_alternate_id").shown(In::User, "alternateId", Kind::Text),
        text(C::UserDisplayName, "user_display_name").shown(In::User, "displayName", Kind::Text),
        text(C::ApplicationUserId, "application_user_id").shown(In::ApplicationUser, "oktaId", Kind::FilledText),
        text(C::ApplicationUserAlternateId, "application_user_alternate_id").shown(
            In::ApplicationUser,
            "alternateId",
            Kind::Text,
        ),
        text(C::ApplicationUserDisplayName, "application_user_display_name").shown(
            In::ApplicationUser,
            "displayName",
            Kind::Text,
        ),
        text(C::InstanceId, "instance_id").shown(In::Application, "oktaId", Kind::FilledText),
        text(C::InstanceLabel, "instance_label").shown(In::Application, "alternateId", Kind::Text),
        text(C::InstanceDisplayName, "instance_display_name").shown(In::Application, "displayName", Kind::Text),
        text(C::ApplicationName, "application_name"),
        text(C::DebugData, "debug_data").shown(In::DebugContext, "debugData", Kind::Json),
        text(C::TransactionId, "transaction_id").shown(In::Transaction, "oktaId", Kind::Text),
        text(C::TransactionType, "transaction_type").shown(In::Transaction, "type", Kind::Text),
        text(C::ClientIpAddress, "client_ip_address").shown(In::Client, "ipAddress", Kind::Text),
        text(C::ClientUserAgent, "client_user_agent").shown(In::Client, "userAgent", Kind::Text),
        text(C::ClientCity, "client_city").shown(In::Client, "city", Kind::Text),
        text(C::ClientCountry, "client_country").shown(In::Client, "country", Kind::Text),
        column(C::ReceivedAt, "received_at", SqlType::Timestamp).shown(In::Event, "receivedAt", Kind::Time),
        column(C::FirstSource, "first_source", SqlType::Smallint).shown(In::Event, "firstReceivedVia", Kind::Source),
        column(C::Details, "raw", SqlType::Bytea).shown(In::Event, "eventDetails", Kind::Json),
        of(C::UserType, Stored::Constant("User", C::UserId)).shown(In::User, "type", Kind::NonNullText),
        of(C::ApplicationUserType, Stored::Constant("AppUser", C::ApplicationUserId)).shown(
            In::ApplicationUser,
            "type",
            Kind::NonNullText,
        ),
        of(C::InstanceType, Stored::Constant("AppInstance", C::InstanceId)).shown(
            In::Application,
            "type",
            Kind::NonNullText,
        ),
    ]
};

/// All objects below an event.
pub const OBJECTS: [ObjectSpec; 8] = {
    use EventColumn as C;
    [
        object(In::Outcome, "outcome", "Outcome", &[C::OutcomeResult]),
        object(In::Admin, "admin", "Entity", &[C::AdminId]),
        object(In::User, "user", "Entity", &[C::UserId]),
        object(In::ApplicationUser, "applicationUser", "Entity", &[C::ApplicationUserId]),
        object(In::Application, "application", "Entity", &[C::InstanceId]),
        object(In::DebugContext, "debugContext", "DebugContext", &[C::DebugData]),
        object(In::Transaction, "transaction", "Transaction", &[C::TransactionId, C::TransactionType]),
        object(
            In::Client,
            "client",
            "Client",
            &[C::ClientIpAddress, C::ClientUserAgent, C::ClientCity, C::ClientCountry],
        ),
    ]
};

const fn of(column: EventColumn, stored: Stored) -> ColumnSpec {
    ColumnSpec { column, stored, graph: None }
}

const fn column(column: EventColumn, name: &'static str, sql_type: SqlType) -> ColumnSpec {
    of(column, Stored::Event(name, sql_type))
}

const fn text(column: EventColumn, name: &'static str) -> ColumnSpec {
    of(column, Stored::Event(name, SqlType::Text))
}

const fn object(
    object: GraphObject,
    field: &'static str,
    type_name: &'static str,
    presence: &'static [EventColumn],
) -> ObjectSpec {
    ObjectSpec { object, field, type_name, presence }
}

impl ColumnSpec {
    const fn shown(self, object: GraphObject, name: &'static str, kind: GraphKind) -> Self {
        Self { graph: Some(GraphField { object, name, kind }), ..self }
    }

    /// Returns the column's name in its table; None for a constant.
    pub const fn sql_name(&self) -> Option<&'static str> {
        match self.stored {
            Stored::Event(name, _) => Some(name),
            Stored::Constant(..) => None,
        }
    }
}

impl SqlType {
    /// Returns the type's name in SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytea => "bytea",
            Self::Bigint => "bigint",
            Self::Smallint => "smallint",
            Self::Text => "text",
            Self::Timestamp => "timestamptz",
            Self::Uuid => "uuid",
        }
    }
}

impl EventColumn {
    /// The number of columns.
    pub const COUNT: usize = Self::InstanceType as usize + 1;

    /// The number of the first text.
    const FIRST_TEXT: usize = Self::EventType as usize;

    /// The number of texts.
    pub const TEXTS: usize = Self::ClientCountry as usize + 1 - Self::FIRST_TEXT;

    /// Returns the column's number, from 0 on.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the number of a text among the texts; too large a number for other columns.
    pub(super) const fn text_index(self) -> usize {
        self.index().wrapping_sub(Self::FIRST_TEXT)
    }

    /// Returns the column's row of the table.
    pub const fn spec(self) -> &'static ColumnSpec {
        const TABLE: &[ColumnSpec; EventColumn::COUNT] = &COLUMNS;
        &TABLE[self.index()]
    }

    /// Returns true if the database has the column as text.
    pub const fn is_text(self) -> bool {
        matches!(self.spec().stored, Stored::Event(_, SqlType::Text))
    }

    /// Returns the texts, in their order.
    pub fn texts() -> impl Iterator<Item = Self> {
        COLUMNS.iter().skip(Self::FIRST_TEXT).take(Self::TEXTS).map(|spec| spec.column)
    }

    /// Returns the text and the other column of a constant.
    pub const fn constant(self) -> Option<(&'static str, Self)> {
        match self.spec().stored {
            Stored::Constant(text, other) => Some((text, other)),
            Stored::Event(..) => None,
        }
    }
}

/// A set of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventColumns(u64);

impl EventColumns {
    /// Columns that are always read: the event's place in every order.
    pub const KEYS: Self = Self(0).with(EventColumn::Position).with(EventColumn::Published);

    /// All columns.
    pub const ALL: Self = Self((1 << EventColumn::COUNT) - 1);

    /// All columns but the event as Okta sent it.
    pub const WITHOUT_DETAILS: Self = Self::ALL.without(EventColumn::Details);

    /// Adds a column.
    #[must_use]
    pub const fn with(self, column: EventColumn) -> Self {
        Self(self.0 | 1 << column.index())
    }

    /// Removes a column.
    #[must_use]
    pub const fn without(self, column: EventColumn) -> Self {
        Self(self.0 & !(1 << column.index()))
    }

    /// Returns the columns that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the columns that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if the set has a column.
    pub const fn has(self, column: EventColumn) -> bool {
        self.0 & (1 << column.index()) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_has_its_own_row_of_the_table() {
        assert!(COLUMNS.iter().map(|spec| spec.column.index()).eq(0..EventColumn::COUNT));
        let all = COLUMNS.iter().fold(EventColumns::KEYS, |all, spec| all.with(spec.column));
        assert_eq!(EventColumns::WITHOUT_DETAILS.with(EventColumn::Details), all);
        assert!(!EventColumns::WITHOUT_DETAILS.has(EventColumn::Details));
        let texts = COLUMNS.iter().map(|spec| spec.column).filter(|column| column.is_text());
        let texts = texts.filter(|column| !matches!(column, EventColumn::Org | EventColumn::Details));
        assert!(texts.eq(EventColumn::texts()));
    }
}
