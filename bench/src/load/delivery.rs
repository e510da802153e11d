//! A delivery, ready to be sent again and again with events that are new each time.

use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context as _, Result};
use sluice::event::ReceivedEvent;
use uuid::fmt::Hyphenated;

use super::Identities;
use crate::gateway::HOOK_SECRET;

/// An HTTP request that holds a delivery, and where in it the UUIDs of its events are.
#[derive(Debug)]
pub(crate) struct Delivery {
    request: Vec<u8>,
    uuids: Vec<Range<usize>>,
}

impl Delivery {
    /// A delivery of some events, to the default org's hook endpoint.
    pub(crate) fn new<'a>(address: SocketAddr, events: impl Iterator<Item = &'a ReceivedEvent>) -> Result<Self> {
        let mut body = concat!(
            r#"{"eventType":"com.okta.event_hook","eventTypeVersion":"1.0","cloudEventsVersion":"0.1","#,
            r#""source":"https://bench.okta.com/api/v1/eventHooks/whoql0HfiLGPWc8Jx0g3","#,
            r#""eventId":"6df5bb2d-d6ef-4a2b-9d0a-8b1ff2b5c0d7","data":{"events":["#
        )
        .to_owned();
        let mut uuids = Vec::new();
        for event in events {
            if !uuids.is_empty() {
                body.push(',');
            }
            let uuid = event.occurrence.uuid.hyphenated().to_string();
            let offset = event.raw.find(&uuid).context("an event does not print its uuid as others do")?;
            uuids.push(body.len() + offset);
            body.push_str(&event.raw);
        }
        body.push_str(r#"]},"eventTime":"2026-01-31T12:00:00.000Z","contentType":"application/json"}"#);
        let head = format!(
            "POST /okta/default/hooks HTTP/1.1\r\nhost: {address}\r\nauthorization: {HOOK_SECRET}\r\n\
             content-type: application/json\r\naccept: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let uuids = uuids.into_iter().map(|offset| head.len() + offset..head.len() + offset + Hyphenated::LENGTH);
        Ok(Self { uuids: uuids.collect(), request: [head.into_bytes(), body.into_bytes()].concat() })
    }

    /// The request, its events under identities that they did not have before.
    pub(crate) fn renewed(&mut self, identities: &Identities) -> &[u8] {
        for range in &self.uuids {
            identities.next().hyphenated().encode_lower(&mut self.request[range.clone()]);
        }
        &self.request
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use sluice::event::Timestamp;
    use sluice::okta::{JsonBody, RawJson, read_delivery, read_event};
    use uuid::Uuid;

    use super::*;
    use crate::rows;

    /// What a gateway reads of a request, but the identities; and those.
    fn read(request: &[u8]) -> (Vec<String>, Vec<Uuid>) {
        let body = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let body = JsonBody::new(&request[body..]);
        let events = read_delivery(body.json().unwrap()).unwrap().events;
        let uuid = |raw: &RawJson<'_>| read_event(raw.exact().unwrap(), Timestamp::now()).unwrap().uuid;
        let uuids: Vec<_> = events.iter().map(uuid).collect();
        let rest = events.into_iter().zip(&uuids).map(|(raw, uuid)| raw.text().get().replace(&uuid.to_string(), ""));
        (rest.collect(), uuids)
    }

    #[test]
    fn each_time_the_same_events_are_new() {
        let events = rows::events(3).unwrap();
        let mut delivery = Delivery::new((Ipv4Addr::LOCALHOST, 80).into(), events.iter()).unwrap();
        let identities = Identities::starting_now();
        let (first, first_uuids) = read(delivery.renewed(&identities));
        let (second, second_uuids) = read(delivery.renewed(&identities));
        assert_eq!(first, second);
        assert_eq!(first.len(), 3);
        assert_eq!(first_uuids.iter().chain(&second_uuids).collect::<HashSet<_>>().len(), 6);
    }
}
