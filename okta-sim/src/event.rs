//! One event of the System Log, in Okta's two forms: the log's own, and that of an event hook.

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

/// A LogEvent, with its fields in the order in which Okta prints them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEvent {
    /// Who did it: in a job, for whom it runs.
    pub actor: Entity,
    /// From where; all null in a job.
    pub client: Client,
    /// Always null here, as it mostly is.
    pub device: Option<&'static str>,
    /// The session in which it was done.
    pub authentication_context: AuthenticationContext,
    /// What happened, in words.
    pub display_message: &'static str,
    /// What happened, such as `application.provision.user.sync`.
    pub event_type: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// When, to the millisecond.
    #[serde(serialize_with = "as_okta_prints_it")]
    pub published: OffsetDateTime,
    /// What is known of the network it came from.
    pub security_context: SecurityContext,
    /// `INFO`, `WARN` or `ERROR`.
    pub severity: &'static str,
    /// Okta's free-form details.
    pub debug_context: DebugContext,
    /// The type's name before 2016, where it had one.
    pub legacy_event_type: Option<&'static str>,
    /// The job or web request in which it happened.
    pub transaction: Transaction,
    /// Its identity: version 1.
    pub uuid: Uuid,
    /// Always `0`.
    pub version: &'static str,
    /// The way of the web request; empty in a job.
    pub request: Request,
    /// To whom and to what it happened, in no fixed order; sometimes null, or without one that should be there.
    pub target: Option<Vec<Entity>>,
    /// The hook that tells of it.
    #[serde(skip)]
    pub hook: Arc<EventHook>,
}

impl LogEvent {
    /// That a hook's delivery failed.
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

    /// The application instance that the event names, if it does.
    pub fn instance_id(&self) -> Option<&str> {
        self.target("AppInstance").map(|target| target.id.as_str())
    }

    /// The application's name (`office365`) that the event tells in its debug data, if it does.
    pub fn application_name(&self) -> Option<&str> {
        let debug_data = self.debug_context.debug_data.as_ref()?;
        debug_data.0.iter().find(|(key, _)| key.eq_ignore_ascii_case("appname")).map(|(_, name)| name.as_str())
    }

    /// The first target of a type, such as `User`.
    pub fn target(&self, kind: &str) -> Option<&Entity> {
        self.target.iter().flatten().find(|target| target.kind == kind)
    }

    /// As the System Log API prints it: a missing value is null.
    pub fn log_json(&self) -> String {
        json(self)
    }

    /// As it stands in an event hook's delivery: what is null is left out, `ipChain` is the client's, and the debug
    /// data name the hook.
    pub fn hook_json(&self) -> String {
        without_nulls(&json(&HookForm::from(self)))
    }
}

/// Prints a value of ours as JSON.
#[expect(clippy::expect_used, reason = "only maps without text keys and years past 9999 fail, and there are none")]
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our values are JSON")
}

/// Prints a moment of UTC to the millisecond.
pub(crate) fn as_okta_prints_it<S: Serializer>(moment: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    const FORMAT: StaticFormatDescription =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    serializer.collect_str(&moment.format(FORMAT).map_err(S::Error::custom)?)
}
