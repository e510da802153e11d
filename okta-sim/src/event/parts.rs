//! The parts of an event. A field that is None is null in the System Log, and omitted in a hook's delivery.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// An entity: an actor or a target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    /// Okta's id.
    pub id: String,
    /// `User`, `AppUser`, `AppInstance`, `UserGroup`, `SystemPrincipal`, `PublicClientApp`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A login, the user's name in the application, or an instance's label; `unknown` if Okta knows none.
    pub alternate_id: String,
    /// The name of a person, or of an application in Okta's catalogue.
    pub display_name: String,
    /// More about an application instance.
    pub detail_entry: Option<DetailEntry>,
    /// The changes of an update; omitted otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_details: Option<ChangeDetails>,
}

/// The sign-on mode of an application instance.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DetailEntry {
    /// `SAML_2_0`, `OPENID_CONNECT`, …
    pub sign_on_mode_type: &'static str,
}

/// An application instance before and after an update.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeDetails {
    /// The label before the update.
    pub from: Label,
    /// The label after the update.
    pub to: Label,
}

/// The part of an application instance that an update changes.
#[derive(Clone, Debug, Serialize)]
pub struct Label {
    /// The label of the instance.
    pub label: String,
}

/// The browser of a web request; all null in a job.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The browser.
    pub user_agent: Option<UserAgent>,
    /// The network zone; Okta prints the text `null` without one.
    pub zone: Option<&'static str>,
    /// `Computer` or `Mobile`.
    pub device: Option<&'static str>,
    /// The id of an OAuth client.
    pub id: Option<String>,
    /// The IPv4 address.
    pub ip_address: Option<String>,
    /// The location of the address.
    pub geographical_context: Option<GeographicalContext>,
}

/// A browser.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAgent {
    /// The user agent header.
    pub raw_user_agent: &'static str,
    /// The operating system.
    pub os: &'static str,
    /// `CHROME`, `FIREFOX`, …
    pub browser: &'static str,
}

/// A location.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GeographicalContext {
    /// The city.
    pub city: &'static str,
    /// The state or province, if there is one.
    pub state: Option<&'static str>,
    /// The country.
    pub country: &'static str,
    /// The postal code, if it is known.
    pub postal_code: Option<&'static str>,
    /// The coordinates.
    pub geolocation: Geolocation,
}

/// Coordinates in degrees.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Geolocation {
    /// The latitude, north of the equator.
    pub lat: f64,
    /// The longitude, east of Greenwich.
    pub lon: f64,
}

/// The session of the actor.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationContext {
    /// Always null here.
    pub authentication_provider: Option<&'static str>,
    /// Always null here.
    pub credential_provider: Option<&'static str>,
    /// Always null here.
    pub credential_type: Option<&'static str>,
    /// Always null here.
    pub issuer: Option<&'static str>,
    /// Always null here.
    pub interface: Option<&'static str>,
    /// Always 0 here.
    pub authentication_step: u8,
    /// The id of the session.
    pub external_session_id: String,
    /// The id of the session from which this one was derived.
    pub root_session_id: String,
}

/// The result of an event.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// `SUCCESS` or `FAILURE`.
    pub result: &'static str,
    /// The reason of a failure; often null.
    pub reason: Option<String>,
}

/// A network; all fields are null in a job.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// The number of the autonomous system.
    pub as_number: Option<u32>,
    /// The owner of the autonomous system.
    pub as_org: Option<&'static str>,
    /// The provider.
    pub isp: Option<&'static str>,
    /// The provider's domain.
    pub domain: Option<&'static str>,
    /// True for a proxy.
    pub is_proxy: Option<bool>,
}

/// Okta's notes for debugging.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugContext {
    /// A free map, or null.
    pub debug_data: Option<DebugData>,
}

/// Keys, whose case varies between Okta's releases, and texts.
#[derive(Clone, Debug)]
pub struct DebugData(pub Vec<(&'static str, String)>);

impl Serialize for DebugData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The job or web request in which something happened.
#[derive(Clone, Debug, Serialize)]
pub struct Transaction {
    /// `JOB` or `WEB`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The id, which several events may share.
    pub id: String,
    /// Always empty here.
    pub detail: TransactionDetail,
}

/// More about a transaction: `{}`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TransactionDetail {}

/// The route of a web request.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The addresses that forwarded the request; empty in a job.
    pub ip_chain: Vec<IpAddress>,
}

/// An address on a request's route.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddress {
    /// The IPv4 address.
    pub ip: String,
    /// The location of the address.
    pub geographical_context: GeographicalContext,
    /// `V4`.
    pub version: &'static str,
    /// Always null here.
    pub source: Option<&'static str>,
}
