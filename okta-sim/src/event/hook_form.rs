//! The format of an event in an event hook's delivery.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    AuthenticationContext, Client, DebugData, Entity, GeographicalContext, IpAddress, LogEvent, Outcome,
    SecurityContext, Transaction, UserAgent, as_okta_prints_it,
};

/// The event with the keys of a delivery, including null values.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HookForm<'a> {
    uuid: Uuid,
    #[serde(serialize_with = "as_okta_prints_it")]
    published: OffsetDateTime,
    event_type: &'a str,
    version: &'a str,
    display_message: &'a str,
    severity: &'a str,
    client: HookClient<'a>,
    device: Option<&'a str>,
    actor: &'a Entity,
    outcome: &'a Outcome,
    target: Option<&'a [Entity]>,
    transaction: &'a Transaction,
    debug_context: HookDebugContext<'a>,
    legacy_event_type: Option<&'a str>,
    authentication_context: &'a AuthenticationContext,
    security_context: SecurityContext,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HookClient<'a> {
    user_agent: Option<UserAgent>,
    zone: Option<&'a str>,
    device: Option<&'a str>,
    id: Option<&'a str>,
    ip_address: Option<&'a str>,
    geographical_context: Option<GeographicalContext>,
    ip_chain: &'a [IpAddress],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HookDebugContext<'a> {
    debug_data: HookDebugData<'a>,
}

struct HookDebugData<'a> {
    of_event: Option<&'a DebugData>,
    hook_id: &'a str,
}

impl Serialize for HookDebugData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.of_event.iter().flat_map(|debug_data| &debug_data.0) {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("targetEventHookIds", self.hook_id)?;
        map.end()
    }
}

impl<'a> From<&'a LogEvent> for HookForm<'a> {
    fn from(event: &'a LogEvent) -> Self {
        let Client { user_agent, zone, device, id, ip_address, geographical_context } = &event.client;
        Self {
            uuid: event.uuid,
            published: event.published,
            event_type: event.event_type,
            version: event.version,
            display_message: event.display_message,
            severity: event.severity,
            client: HookClient {
                user_agent: *user_agent,
                zone: *zone,
                device: *device,
                id: id.as_deref(),
                ip_address: ip_address.as_deref(),
                geographical_context: *geographical_context,
                ip_chain: &event.request.ip_chain,
            },
            device: event.device,
            actor: &event.actor,
            outcome: &event.outcome,
            target: event.target.as_deref(),
            transaction: &event.transaction,
            debug_context: HookDebugContext {
                debug_data: HookDebugData {
                    of_event: event.debug_context.debug_data.as_ref(),
                    hook_id: &event.hook.id,
                },
            },
            legacy_event_type: event.legacy_event_type,
            authentication_context: &event.authentication_context,
            security_context: event.security_context,
        }
    }
}

/// Removes null members at every depth. The input must be JSON without white space, as serde_json prints it.
pub(crate) fn without_nulls(json: &str) -> String {
    let mut kept = String::with_capacity(json.len());
    let mut comma = false;
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = rest.split_at(if first == '"' { text_length(rest) } else { first.len_utf8() });
        rest = after;
        match (first, after.strip_prefix(":null")) {
            ('"', Some(after_null)) => rest = after_null,
            (',', _) => comma = true,
            _ => {
                // A comma is needed only between two members that were both kept.
                if std::mem::take(&mut comma) && !matches!(first, '}' | ']') && !kept.ends_with(['{', '[']) {
                    kept.push(',');
                }
                kept.push_str(piece);
            }
        }
    }
    kept
}

/// Returns the length of the JSON string at the beginning of `json`, in bytes with its quotes.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    let closing = json.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.map_or(json.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_that_are_null_go() {
        for (json, kept) in [
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":null,"b":1,"c":null,"d":[{"e":null},{}],"f":null}"#, r#"{"b":1,"d":[{},{}]}"#),
            (r#"{"a":"x\":null,","b":"\\","c":"}","d":"{","e":null}"#, r#"{"a":"x\":null,","b":"\\","c":"}","d":"{"}"#),
            (r#"{"a":{"b":null},"c":"null","é":-1.5e3}"#, r#"{"a":{},"c":"null","é":-1.5e3}"#),
            (r#"["a","{",true,[],[1,2]]"#, r#"["a","{",true,[],[1,2]]"#),
        ] {
            assert_eq!(without_nulls(json), kept);
        }
    }
}
