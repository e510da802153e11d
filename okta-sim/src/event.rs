//! An event of the System Log, in Okta's two formats: that of the log, and that of event hooks.

mod hook_form;
mod parts;

use std::sync::Arc;

use serde::ser::Error;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use uuid::Uuid;

use crate::hook::EventHook;
pub(crate) use hook_form::{HookForm, without_nulls};
pub use parts::{
    AuthenticationContext, ChangeDetails, Client, DebugContext, DebugData, DetailEntry, Entity, GeographicalContext,
    Geolocation, IpAddress, Label, Outcome, Request, SecurityContext, Transaction, TransactionDetail, UserAgent,
};

/// An Okta `LogEvent`, with its fields in Okta's order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEvent {
    /// The admin or program that caused the event, or for whom a job runs.
    pub actor: Entity,
    /// The client; all fields are null in a job.
    pub client: Client,
    /// Always null here, as in most of Okta's events.
    pub device: Option<&'static str>,
    /// The session of the actor.
    pub authentication_context: AuthenticationContext,
    /// The description of the event.
    pub display_message: &'static str,
    /// The type of the event, such as `application.provision.user.sync`.
    pub event_type: &'static str,
    /// The result.
    pub outcome: Outcome,
    /// The time of the event, to the millisecond.
    #[serde(serialize_with = "as_okta_prints_it")]
    pub published: OffsetDateTime,
    /// The client's network.
    pub security_context: SecurityContext,
    /// `INFO`, `WARN` or `ERROR`.
    pub severity: &'static str,
    /// Okta's free-form details.
    pub debug_context: DebugContext,
    /// The name of the type before 2016, if it had one.
    pub legacy_event_type: Option<&'static str>,
    /// The job or web request in which the event happened.
    pub transaction: Transaction,
    /// The id, a version 1 UUID.
    pub uuid: Uuid,
    /// Always `0`.
    pub version: &'static str,
    /// The addresses of the web request; empty in a job.
    pub request: Request,
    /// The targets, in no fixed order; sometimes null or incomplete.
    pub target: Option<Vec<Entity>>,
    /// The hook that delivers the event.
    #[serde(skip)]
    pub hook: Arc<EventHook>,
}

impl LogEvent {
    /// Creates the event that reports a hook's failed delivery.
    pub(crate) fn delivery_failure(hook: EventHook, delivery: Uuid, at: OffsetDateTime) -> Self {
        let entity = |id: &str, kind, alternate_id: &str, display_name: &str| Entity {
            id: id.to_owned(),
            kind,
            alternate_id: alternate_id.to_owned(),
            display_name: display_name.to_owned(),
            detail_entry: None,
            change_details: None,
        };
        let outcome =
            Outcome { result: "FAILURE", reason: Some("The endpoint did not acknowledge the delivery".into()) };
        Self {
            actor: entity("0sp0000000000000005d7", "SystemPrincipal", "system@okta.com", "Okta System"),
            client: Client::default(),
            device: None,
            authentication_context: AuthenticationContext::default(),
            display_message: "Event hook delivery",
            event_type: "event_hook.delivery",
            outcome,
            published: at.replace_millisecond(at.millisecond()).unwrap_or(at),
            security_context: SecurityContext::default(),
            severity: "WARN",
            debug_context: DebugContext { debug_data: Some(DebugData(vec![("eventId", delivery.to_string())])) },
            legacy_event_type: None,
            transaction: Transaction { kind: "JOB", id: delivery.simple().to_string(), detail: TransactionDetail {} },
            uuid: Uuid::new_v4(),
            version: "0",
            request: Request::default(),
            target: Some(vec![entity(&hook.id, "EventHook", &hook.source, "Event hook")]),
            hook: Arc::new(hook),
        }
    }

    /// Returns the id of the event's application instance, if it has one.
    pub fn instance_id(&self) -> Option<&str> {
        self.target("AppInstance").map(|target| target.id.as_str())
    }

    /// Returns the application's name (`office365`) in the event's debug data, if it has one.
    pub fn application_name(&self) -> Option<&str> {
        let debug_data = self.debug_context.debug_data.as_ref()?;
        debug_data.0.iter().find(|(key, _)| key.eq_ignore_ascii_case("appname")).map(|(_, name)| name.as_str())
    }

    /// Returns the first target of a type, such as `User`.
    pub fn target(&self, kind: &str) -> Option<&Entity> {
        self.target.iter().flatten().find(|target| target.kind == kind)
    }

    /// Formats the event as the System Log API does, with null for missing values.
    pub fn log_json(&self) -> String {
        json(self)
    }

    /// Formats the event as in an event hook's delivery: null values are omitted, `ipChain` belongs to the client, and
    /// the debug data name the hook.
    pub fn hook_json(&self) -> String {
        without_nulls(&json(&HookForm::from(self)))
    }
}

/// Formats one of the simulator's values as JSON.
#[expect(clippy::expect_used, reason = "only maps without text keys and years past 9999 fail, and there are none")]
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our values are JSON")
}

/// Formats a UTC time with milliseconds.
pub(crate) fn as_okta_prints_it<S: Serializer>(moment: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    const FORMAT: StaticFormatDescription =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    serializer.collect_str(&moment.format(FORMAT).map_err(S::Error::custom)?)
}
