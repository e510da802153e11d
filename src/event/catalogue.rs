//! Applications and their instances, collected from events and Okta's Apps API.

use super::Timestamp;

/// An application of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The configured name of the Okta org.
    pub org: String,
    /// Okta's key, such as `office365`.
    pub name: String,
    /// The name in Okta's catalogue.
    pub display_name: Option<String>,
    /// The number of the application's events.
    pub event_count: i64,
    /// The time of the newest of these events.
    pub last_event_at: Option<Timestamp>,
}

/// An application instance, which an Okta admin configures and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationInstance {
    /// The configured name of the Okta org.
    pub org: String,
    /// Okta's id, such as `0oahjhk34aUxGnWcZ0h7`.
    pub instance_id: String,
    /// The instance's label.
    pub label: Option<String>,
    /// Okta's status; None if the instance is known from events only.
    pub status: Option<String>,
    /// Okta's key of the application; None while it is unknown.
    pub application: Option<String>,
    /// The number of the instance's events.
    pub event_count: i64,
    /// The time of the newest of these events.
    pub last_event_at: Option<Timestamp>,
}

/// The sort key of a catalogue entry: first the name or label, then org and key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CatalogueKey {
    /// The application's key or the instance's label, in lower case.
    pub sort: String,
    /// The configured name of the Okta org.
    pub org: String,
    /// The application's key or the instance's id.
    pub key: String,
}
