//! Answers that are told one after the other, each as soon as it is there.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderName, Method, Version};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};

use super::super::accept::{Accepted, Form};
use super::super::happenings::{self, Happening};
use super::super::listen::Client;
use super::super::stream::{NewStream, StreamOutlet, StreamType};
use super::refusal::Refusal;
use super::{Asking, respond, status};
use crate::event::Position;
use crate::graphql::{Answer, Operation};

/// What a browser sends when it connects again: the id of the event that it has seen last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl Asking {
    /// Tells the only answer there is.
    pub(super) fn tell(&self, parts: &Parts, form: Form, answer: Answer) -> Result<Response, Refusal> {
        match form {
            Form::Single(media_type) => {
                Ok(respond(status(answer.verdict, media_type), media_type, answer.json.into_bytes()))
            }
            Form::Stream(stream_type) => {
                let new = self.new_stream(parts, stream_type)?;
                Ok(self.streams.respond(new, Happening::Error(answer)))
            }
        }
    }

    /// Starts a subscription and tells its answers.
    pub(super) async fn subscribe(
        &self,
        parts: &Parts,
        accepted: Accepted,
        stream_type: StreamType,
        mut operation: Operation,
    ) -> Result<Response, Refusal> {
        if stream_type == StreamType::EventStream
            && let Some(position) = last_event_id(parts)?
        {
            operation.resume_after(position);
        }
        let new = self.new_stream(parts, stream_type)?;
        if let Some(wire) = &new.wire {
            operation.tell_by(Arc::new(StreamOutlet::new(wire.clone(), stream_type)));
        }
        let mut happenings = happenings::run(&self.graph, operation);
        let first = happenings.next().await.unwrap_or(Happening::Complete);
        match (first, accepted.for_one_answer()) {
            // Apollo's clients take an error before the start by itself; those of graphql-sse want it in the stream.
            (Happening::Error(answer), form @ Form::Single(_)) if stream_type == StreamType::Multipart => {
                self.tell(parts, form, answer)
            }
            (first, _) => Ok(self.streams.respond(NewStream { happenings, ..new }, first)),
        }
    }

    fn new_stream(&self, parts: &Parts, stream_type: StreamType) -> Result<NewStream, Refusal> {
        let client = Client::of(&parts.extensions);
        let place = self.streams.subscribers.stream(client.address).map_err(|no_place| {
            let (status, code) = no_place.told();
            Refusal::new(status, code, no_place.to_string())
        })?;
        // In HTTP/2, others may use the connection, too; and before 1.1, nothing is sent in chunks.
        let cut = (parts.version <= Version::HTTP_11).then_some(client.cut);
        let wire = client.wire.filter(|_| parts.version == Version::HTTP_11 && parts.method != Method::HEAD);
        Ok(NewStream { stream_type, happenings: stream::empty().boxed(), place, cut, wire })
    }
}

/// The position from which a browser goes on.
fn last_event_id(parts: &Parts) -> Result<Option<Position>, Refusal> {
    let Some(value) = parts.headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(Some).ok_or_else(|| Refusal::bad_request("last-event-id is not a position"))
}
