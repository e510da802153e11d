//! The JSON of one System Log event, parsed into an [`Occurrence`].

use serde_json::value::RawValue;
use time::{Date, Duration, Month};
use uuid::Uuid;

use super::broken_event::BrokenEvent;
use super::json::{Members, text};
use crate::event::{EntityColumns, EventColumn, EventTexts, Occurrence, Timestamp};

/// The results of events, in Okta's spelling.
pub const OUTCOMES: [&str; 8] = ["SUCCESS", "FAILURE", "SKIPPED", "ALLOW", "DENY", "CHALLENGE", "DEFERRED", "UNKNOWN"];

/// The types of actors and targets, in Okta's spelling.
pub const ENTITY_TYPES: [&str; 7] =
    ["User", "AppUser", "AppInstance", "SystemPrincipal", "PublicClientApp", "PublicClientAppEntity", "UserGroup"];

/// The severities of events, in Okta's spelling, the lowest first.
pub const SEVERITIES: [&str; 4] = ["DEBUG", "INFO", "WARN", "ERROR"];

/// The year in which Okta was founded: no event is older.
const FIRST_YEAR: i32 = 2009;

/// Reads one event. Only its uuid, type and time are required.
///
/// # Errors
/// The reason why the event cannot be stored, see [`BrokenEvent`].
pub fn read_event(json: &RawValue, now: Timestamp) -> Result<Occurrence, BrokenEvent> {
    event_of(&Members::read(json).ok_or(BrokenEvent::NotAnObject)?, now)
}

/// Reads an event from the members of its object.
pub(super) fn event_of(event: &Members<'_>, now: Timestamp) -> Result<Occurrence, BrokenEvent> {
    let uuid = event.text("uuid");
    let uuid = uuid
        .as_deref()
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| BrokenEvent::Uuid(described(uuid.as_deref())))?;
    let event_type = event.non_empty_text("eventType").ok_or(BrokenEvent::EventType)?;
    let published = read_published(event.text("published").as_deref(), now)?;
    let mut occurrence = Occurrence::new(uuid, &event_type, published);
    let texts = &mut occurrence.texts;
    texts.set(EventColumn::Message, event.text("displayMessage"));
    texts.set(EventColumn::Version, event.text("version"));
    texts.set(EventColumn::Severity, event.text("severity"));
    let outcome = event.object("outcome");
    texts.set(EventColumn::OutcomeResult, outcome.text("result"));
    texts.set(EventColumn::OutcomeReason, outcome.text("reason"));
    if let Some(admin) = event.get("actor").and_then(Entity::read) {
        admin.fill(texts, EntityColumns::ADMIN);
    }
    let mut targets = event.get("target").map(read_targets).unwrap_or_default();
    for columns in [EntityColumns::USER, EntityColumns::APPLICATION_USER, EntityColumns::APPLICATION] {
        let kind = columns.kind.constant().map(|(kind, _)| kind);
        if let Some(place) = targets.iter().position(|target| Some(target.kind.as_str()) == kind) {
            targets.remove(place).fill(texts, columns);
        }
    }
    let transaction = event.object("transaction");
    texts.set(EventColumn::TransactionId, transaction.text("id"));
    texts.set(EventColumn::TransactionType, transaction.text("type"));
    let client = event.object("client");
    texts.set(EventColumn::ClientIpAddress, client.text("ipAddress"));
    texts.set(EventColumn::ClientUserAgent, client.object("userAgent").text("rawUserAgent"));
    let place = client.object("geographicalContext");
    texts.set(EventColumn::ClientCity, place.text("city"));
    texts.set(EventColumn::ClientCountry, place.text("country"));
    let debug_context = event.object("debugContext");
    let debug_data = debug_context.get_non_null("debugData");
    let name = debug_data.and_then(Members::read).and_then(|data| data.get_ignore_case("appname").and_then(text));
    texts.set(EventColumn::ApplicationName, name.filter(|name| !name.is_empty()));
    texts.set(EventColumn::DebugData, debug_data.map(RawValue::get));
    Ok(occurrence)
}

/// An actor or a target of an event.
#[derive(Default, PartialEq)]
struct Entity {
    /// The id; empty if Okta left it out.
    id: String,
    alternate_id: Option<String>,
    display_name: Option<String>,
    /// The type; empty if Okta left it out.
    kind: String,
}

impl Entity {
    /// Reads an entity; None if all of its fields are missing.
    fn read(json: &RawValue) -> Option<Self> {
        let members = Members::read(json)?;
        let entity = Self {
            id: members.text("id").unwrap_or_default(),
            alternate_id: members.text("alternateId"),
            display_name: members.text("displayName"),
            kind: members.text("type").unwrap_or_default(),
        };
        (entity != Self::default()).then_some(entity)
    }

    fn fill(self, texts: &mut EventTexts, columns: EntityColumns) {
        texts.set(columns.id, Some(self.id));
        texts.set(columns.alternate_id, self.alternate_id);
        texts.set(columns.display_name, self.display_name);
        texts.set(columns.kind, Some(self.kind));
    }
}

fn read_published(text: Option<&str>, now: Timestamp) -> Result<Timestamp, BrokenEvent> {
    let published = text.and_then(Timestamp::parse).ok_or_else(|| BrokenEvent::Published(described(text)))?;
    let first = Date::from_calendar_date(FIRST_YEAR, Month::January, 1).map(|day| day.midnight().assume_utc().into());
    if first.is_ok_and(|first: Timestamp| published < first) || published > now.plus(Duration::DAY) {
        return Err(BrokenEvent::PublishedOutOfRange(published.to_string()));
    }
    Ok(published)
}

fn read_targets(json: &RawValue) -> Vec<Entity> {
    match serde_json::from_str::<Vec<&RawValue>>(json.get()) {
        Ok(targets) => targets.into_iter().filter_map(Entity::read).collect(),
        // A single target that is not in a list counts as a target too.
        Err(_) => Entity::read(json).into_iter().collect(),
    }
}

/// Describes a text for a reason, which never quotes: whoever may read reasons may perhaps not read events.
fn described(text: Option<&str>) -> String {
    text.map_or_else(|| "it is missing".to_owned(), |text| format!("its length is {}", text.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Occurrence, BrokenEvent> {
        read_event(&RawValue::from_string(json.to_owned()).unwrap(), Timestamp::now())
    }

    const LEAST: &str =
        r#""uuid":"7e628fc1-a0b1-11f1-bf59-8b5627020a34","eventType":"a.b","published":"2026-08-25T18:19:21Z""#;

    #[test]
    fn only_identity_type_and_time_are_needed() {
        let event = read(&format!("{{{LEAST}}}")).unwrap();
        assert_eq!(event, Occurrence::new(event.uuid, "a.b", event.published));
    }

    #[test]
    fn odd_parts_are_missing_parts() {
        let odd = r#""actor":7,"target":{"id":"0oa1","type":"AppInstance"},"outcome":[],"version":0,
            "displayMessage":{"a":1},"severity":true,"debugContext":{"debugData":"x"},"unknown":[[[]]]"#;
        let event = read(&format!("{{{LEAST},{odd}}}")).unwrap();
        let expected = Occurrence::new(event.uuid, "a.b", event.published).with(&[
            (EventColumn::InstanceId, "0oa1"),
            (EventColumn::Version, "0"),
            (EventColumn::Severity, "true"),
            (EventColumn::DebugData, "\"x\""),
        ]);
        assert_eq!(event, expected);
    }

    #[test]
    fn targets_are_found_by_type_wherever_they_stand() {
        let targets = r#""target":[{"id":"g","type":"UserGroup"},{"id":"u","type":"User"},null,3,
            {"id":"i","type":"AppInstance","alternateId":"Label","displayName":"Catalogue"},{"id":"a","type":"AppUser"}]"#;
        let event = read(&format!("{{{LEAST},{targets}}}")).unwrap();
        assert_eq!(event.text(EventColumn::UserId), Some("u"));
        assert_eq!(event.text(EventColumn::ApplicationUserId), Some("a"));
        assert_eq!(event.text(EventColumn::InstanceLabel), Some("Label"));
    }

    #[test]
    fn characters_that_postgres_cannot_hold_are_replaced() {
        let event = read(&format!(r#"{{{LEAST},"displayMessage":"a\u0000b\ud800c","\ud800":1}}"#)).unwrap();
        assert!(event.text(EventColumn::Message).unwrap().chars().filter(|one| *one == '\u{fffd}').count() >= 2);
    }

    #[test]
    fn the_name_of_the_application_is_read_in_any_case() {
        let event = read(&format!(r#"{{{LEAST},"debugContext":{{"debugData":{{"AppName":"office365"}}}}}}"#)).unwrap();
        assert_eq!(event.text(EventColumn::ApplicationName), Some("office365"));
    }

    #[test]
    fn what_cannot_be_stored_says_why() {
        let broken = |json: &str| read(json).unwrap_err();
        assert_eq!(broken("[]"), BrokenEvent::NotAnObject);
        assert!(matches!(broken("{}"), BrokenEvent::Uuid(_)));
        assert_eq!(broken(r#"{"uuid":"AbC-123-XyZ"}"#), BrokenEvent::Uuid("its length is 11".to_owned()));
        assert_eq!(broken(r#"{"uuid":"7e628fc1-a0b1-11f1-bf59-8b5627020a34"}"#), BrokenEvent::EventType);
        let at = |published: &str| {
            broken(&format!(
                r#"{{"uuid":"7e628fc1-a0b1-11f1-bf59-8b5627020a34","eventType":"a","published":{published}}}"#
            ))
        };
        assert!(matches!(at("\"2022-06-22 18:18:29.015\""), BrokenEvent::Published(_)));
        assert!(matches!(at("1700000000"), BrokenEvent::Published(_)));
        assert!(matches!(at("\"2008-12-31T23:59:59Z\""), BrokenEvent::PublishedOutOfRange(_)));
        assert!(matches!(at("\"2999-01-01T00:00:00Z\""), BrokenEvent::PublishedOutOfRange(_)));
    }
    #[test]
    fn of_several_targets_of_a_type_the_first_counts() {
        let targets = r#""target":[{"id":"u1","type":"User"},{"id":"i1","type":"AppInstance"},{"id":"u2","type":"User"},
            {"id":"i2","type":"AppInstance"},{"id":"a1","type":"AppUser"},{"id":"a2","type":"AppUser"}]"#;
        let event = read(&format!("{{{LEAST},{targets}}}")).unwrap();
        let columns = [EventColumn::UserId, EventColumn::InstanceId, EventColumn::ApplicationUserId];
        assert_eq!(columns.map(|column| event.text(column)), [Some("u1"), Some("i1"), Some("a1")]);
    }
}
