//! The columns of an entity: an admin, a user, an application user or an application instance.

use super::EventColumn;

/// The columns of an actor or of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityColumns {
    /// Okta's id, which every event with this entity has; it may be empty.
    pub id: EventColumn,
    /// A login, a user name in the application, or an instance's label.
    pub alternate_id: EventColumn,
    /// The display name.
    pub display_name: EventColumn,
    /// Okta's type: `User`, `AppUser`, `AppInstance`, `SystemPrincipal` …
    pub kind: EventColumn,
}

impl EntityColumns {
    /// The event's `actor`.
    pub const ADMIN: Self = Self {
        id: EventColumn::AdminId,
        alternate_id: EventColumn::AdminAlternateId,
        display_name: EventColumn::AdminDisplayName,
        kind: EventColumn::AdminType,
    };

    /// The target of type `User`.
    pub const USER: Self = Self {
        id: EventColumn::UserId,
        alternate_id: EventColumn::UserAlternateId,
        display_name: EventColumn::UserDisplayName,
        kind: EventColumn::UserType,
    };

    /// The target of type `AppUser`.
    pub const APPLICATION_USER: Self = Self {
        id: EventColumn::ApplicationUserId,
        alternate_id: EventColumn::ApplicationUserAlternateId,
        display_name: EventColumn::ApplicationUserDisplayName,
        kind: EventColumn::ApplicationUserType,
    };

    /// The target of type `AppInstance`. Its alternate id is the instance's label, and its display name is the
    /// application's name in Okta's catalogue.
    pub const APPLICATION: Self = Self {
        id: EventColumn::InstanceId,
        alternate_id: EventColumn::InstanceLabel,
        display_name: EventColumn::InstanceDisplayName,
        kind: EventColumn::InstanceType,
    };
}
