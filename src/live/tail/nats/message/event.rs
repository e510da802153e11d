//! An event in a message: all its fields in the log except the position, which follows from the message's first one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::{Details, Entity, IngestSource, Occurrence, Position, SyncEvent, Timestamp};

/// An event's JSON. Fields without a value are left out, and Okta's own JSON is kept byte for byte.
#[derive(Serialize, Deserialize)]
pub(super) struct WireEvent<'a> {
    org: Cow<'a, str>,
    uuid: Uuid,
    /// Milliseconds since 1970.
    published: i64,
    /// Milliseconds since 1970.
    received: i64,
    /// The number of the way in.
    source: i16,
    event_type: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<WireEntity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<WireEntity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_user: Option<WireEntity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<WireEntity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug_data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    raw: &'a RawValue,
}

/// Id, alternate id, display name and type.
#[derive(Serialize, Deserialize)]
struct WireEntity<'a>(Cow<'a, str>, Option<Cow<'a, str>>, Option<Cow<'a, str>>, Cow<'a, str>);

impl<'a> WireEvent<'a> {
    /// The event as JSON; None if a receiver could not read the same event from it.
    pub(super) fn text(event: &SyncEvent) -> Option<String> {
        serde_json::to_string(&WireEvent::of(event)?).ok()
    }

    fn of(event: &'a SyncEvent) -> Option<Self> {
        let Details::Read(details) = &event.details else { return None };
        let raw: &RawValue = serde_json::from_str(details).ok()?;
        if raw.get().len() != details.len() {
            return None;
        }
        let borrowed = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        let entity = |entity: &'a Option<Entity>| entity.as_ref().map(WireEntity::of);
        let occurrence = &event.occurrence;
        Some(Self {
            org: event.org.as_str().into(),
            uuid: occurrence.uuid,
            published: occurrence.published.millis(),
            received: event.received_at.millis(),
            source: event.first_source.code(),
            event_type: occurrence.event_type.as_str().into(),
            message: borrowed(&occurrence.message),
            version: borrowed(&occurrence.version),
            severity: borrowed(&occurrence.severity),
            result: borrowed(&occurrence.outcome_result),
            reason: borrowed(&occurrence.outcome_reason),
            admin: entity(&occurrence.admin),
            user: entity(&occurrence.user),
            application_user: entity(&occurrence.application_user),
            application: entity(&occurrence.application),
            application_name: borrowed(&occurrence.application_name),
            debug_data: borrowed(&occurrence.debug_data),
            raw,
        })
    }

    /// The event at a position.
    pub(super) fn into_event(self, position: Position) -> Option<SyncEvent> {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let entity = |entity: Option<WireEntity<'_>>| entity.map(WireEntity::into_entity);
        Some(SyncEvent {
            position,
            org: self.org.into_owned(),
            occurrence: Occurrence {
                uuid: self.uuid,
                event_type: self.event_type.into_owned(),
                published: Timestamp::from_millis(self.published)?,
                message: owned(self.message),
                version: owned(self.version),
                severity: owned(self.severity),
                outcome_result: owned(self.result),
                outcome_reason: owned(self.reason),
                admin: entity(self.admin),
                user: entity(self.user),
                application_user: entity(self.application_user),
                application: entity(self.application),
                application_name: owned(self.application_name),
                debug_data: owned(self.debug_data),
            },
            received_at: Timestamp::from_millis(self.received)?,
            first_source: IngestSource::from_code(self.source)?,
            details: Details::Read(self.raw.get().into()),
        })
    }
}

impl<'a> WireEntity<'a> {
    fn of(entity: &'a Entity) -> Self {
        let borrowed = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        Self(
            entity.id.as_str().into(),
            borrowed(&entity.alternate_id),
            borrowed(&entity.display_name),
            entity.kind.as_str().into(),
        )
    }

    fn into_entity(self) -> Entity {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Entity {
            id: self.0.into_owned(),
            alternate_id: owned(self.1),
            display_name: owned(self.2),
            kind: self.3.into_owned(),
        }
    }
}
