//! The parts of an event. A field that is None is null in the System Log, and missing in a hook's delivery.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Somebody or something: an actor or a target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    /// Okta's id.
    pub id: String,
    /// `User`, `AppUser`, `AppInstance`, `UserGroup`, `SystemPrincipal`, `PublicClientApp`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A login, the user's name in the application, or an instance's label; `unknown` where Okta knows none.
    pub alternate_id: String,
    /// A person's name, or the application's in Okta's catalogue.
    pub display_name: String,
    /// More of an application instance.
    pub detail_entry: Option<DetailEntry>,
    /// What an update changed; the key is there only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_details: Option<ChangeDetails>,
}

/// How people sign in to an application instance.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DetailEntry {
    /// `SAML_2_0`, `OPENID_CONNECT`, …
    pub sign_on_mode_type: &'static str,
}

/// An application instance before and after an update.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeDetails {
    /// Before.
    pub from: Label,
    /// After.
    pub to: Label,
}

/// What of an application instance changes: its label.
#[derive(Clone, Debug, Serialize)]
pub struct Label {
    /// The name by which people know the instance.
    pub label: String,
}

/// The browser of a web request; all null in a job.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The browser.
    pub user_agent: Option<UserAgent>,
    /// The network zone; Okta prints the text `null` where there is none.
    pub zone: Option<&'static str>,
    /// `Computer` or `Mobile`.
    pub device: Option<&'static str>,
    /// An OAuth client's id.
    pub id: Option<String>,
    /// IPv4.
    pub ip_address: Option<String>,
    /// Where that is.
    pub geographical_context: Option<GeographicalContext>,
}

/// A browser.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAgent {
    /// As it calls itself.
    pub raw_user_agent: &'static str,
    /// Its operating system.
    pub os: &'static str,
    /// `CHROME`, `FIREFOX`, …
    pub browser: &'static str,
}

/// A place.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GeographicalContext {
    /// The city.
    pub city: &'static str,
    /// The state or province, where there is one.
    pub state: Option<&'static str>,
    /// The country.
    pub country: &'static str,
    /// The postal code, where it is known.
    pub postal_code: Option<&'static str>,
    /// Its coordinates.
    pub geolocation: Geolocation,
}

/// Coordinates in degrees.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Geolocation {
    /// North of the equator.
    pub lat: f64,
    /// East of Greenwich.
    pub lon: f64,
}

/// The session in which something was done.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationContext {
    /// Null here.
    pub authentication_provider: Option<&'static str>,
    /// Null here.
    pub credential_provider: Option<&'static str>,
    /// Null here.
    pub credential_type: Option<&'static str>,
    /// Null here.
    pub issuer: Option<&'static str>,
    /// Null here.
    pub interface: Option<&'static str>,
    /// 0 here.
    pub authentication_step: u8,
    /// The session's id.
    pub external_session_id: String,
    /// The id of the session from which it came.
    pub root_session_id: String,
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// `SUCCESS` or `FAILURE`.
    pub result: &'static str,
    /// Why it failed; often null then, too.
    pub reason: Option<String>,
}

/// A network; all null in a job.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// Its autonomous system.
    pub as_number: Option<u32>,
    /// Whose that is.
    pub as_org: Option<&'static str>,
    /// The provider.
    pub isp: Option<&'static str>,
    /// The provider's domain.
    pub domain: Option<&'static str>,
    /// Whether it is a proxy.
    pub is_proxy: Option<bool>,
}

/// What Okta notes for debugging.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugContext {
    /// A free map, or null.
    pub debug_data: Option<DebugData>,
}

/// Keys, whose case varies with the release that wrote them, and texts.
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
    /// Its id, which several events may share.
    pub id: String,
    /// Empty here.
    pub detail: TransactionDetail,
}

/// More of a transaction: `{}`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TransactionDetail {}

/// A web request's way.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The addresses it came by; empty in a job.
    pub ip_chain: Vec<IpAddress>,
}

/// One address on a request's way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddress {
    /// IPv4.
    pub ip: String,
    /// Where that is.
    pub geographical_context: GeographicalContext,
    /// `V4`.
    pub version: &'static str,
    /// Null here.
    pub source: Option<&'static str>,
}
