//! Applications and their instances, as events and Okta's Apps API tell of them.

use super::Timestamp;

/// An application: what instances are instances of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The configured name of the Okta org.
    pub org: String,
    /// Okta's key, such as `office365`.
    pub name: String,
    /// Its name in Okta's catalogue.
    pub display_name: Option<String>,
    /// How many events there are of it.
    pub event_count: i64,
    /// When the newest of them happened.
    pub last_event_at: Option<Timestamp>,
}

/// An application instance: what an Okta admin configures and gives a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationInstance {
    /// The configured name of the Okta org.
    pub org: String,
    /// Okta's id, such as `0oahjhk34aUxGnWcZ0h7`.
    pub instance_id: String,
    /// What people call it.
    pub label: Option<String>,
    /// Okta's status; None where only events told of it.
    pub status: Option<String>,
    /// Okta's key of its application; None while it is not known.
    pub application: Option<String>,
    /// How many events there are of it.
    pub event_count: i64,
    /// When the newest of them happened.
    pub last_event_at: Option<Timestamp>,
}

/// Where an entry of the catalogue stands in its list: by what people call it, then by org and key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CatalogueKey {
    /// The application's key or the instance's label, in lower case.
    pub sort: String,
    /// The configured name of the Okta org.
    pub org: String,
    /// The application's key or the instance's id.
    pub key: String,
}
