//! Operations whose answers are streamed.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderName, Method, Version};
use axum::response::Response;
use futures_util::future::{BoxFuture, pending};
use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::super::accept::{Accepted, Form};
use super::super::access::{OperationAccess, RequestSender};
use super::super::client::RequestClient;
use super::super::operation_events::{self, OperationEvent};
use super::super::stream::{NewStream, StreamOutlet, StreamType};
use super::GraphqlState;
use super::refusal::HttpRefusal;
use super::response::{respond, status};
use crate::auth::RightsEnd;
use crate::event::Position;
use crate::graphql::{Answer, Operation};

/// The header with which a browser reconnects: the id of the last event that it received.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl GraphqlState {
    /// Responds with an operation's only answer.
    pub(super) fn respond_once(&self, parts: &Parts, form: Form, answer: Answer) -> Result<Response, HttpRefusal> {
        match form {
            Form::Single(media_type) => {
                Ok(respond(status(answer.verdict, media_type), media_type, answer.json.into_bytes()))
            }
            Form::Stream(stream_type) => {
                let new = self.new_stream(parts, stream_type, (pending().boxed(), RequestSender::default()))?;
                Ok(self.streams.respond(new, OperationEvent::Error(answer)))
            }
        }
    }

    /// Starts a subscription and responds with its answers.
    pub(super) async fn subscribe(
        &self,
        (parts, accepted, sender): (&Parts, Accepted, &RequestSender),
        stream_type: StreamType,
        (mut operation, mut access): (Operation, OperationAccess),
    ) -> Result<Response, HttpRefusal> {
        if stream_type == StreamType::EventStream
            && let Some(position) = last_event_id(parts).inspect_err(|refusal| access.refused(refusal.code()))?
        {
            operation.resume_after(position);
        }
        let rights_end = operation.viewer().rights_end().boxed();
        let new = self.new_stream(parts, stream_type, (rights_end, sender.clone()));
        let new = new.inspect_err(|refusal| access.refused(refusal.code()))?;
        if let Some(wire) = &new.wire {
            operation.send_through(Arc::new(StreamOutlet::new(wire.clone(), stream_type)));
        }
        let mut events = operation_events::run(&self.graph, operation, access);
        let first = events.next().await.unwrap_or(OperationEvent::Complete);
        match (first, accepted.for_one_answer()) {
            // Apollo's clients expect an error before the start as a single response; those of graphql-sse expect it in
            // the stream.
            (OperationEvent::Error(answer), form @ Form::Single(_)) if stream_type == StreamType::Multipart => {
                self.respond_once(parts, form, answer)
            }
            (first, _) => Ok(self.streams.respond(NewStream { events, ..new }, first)),
        }
    }

    fn new_stream(
        &self,
        parts: &Parts,
        stream_type: StreamType,
        (rights_end, sender): (BoxFuture<'static, RightsEnd>, RequestSender),
    ) -> Result<NewStream, HttpRefusal> {
        let client = RequestClient::of(&parts.extensions);
        let permit = self.streams.subscribers.stream(client.address).map_err(|refused| {
            let (status, code) = refused.status();
            HttpRefusal::new(status, code, refused.to_string())
        })?;
        // Other requests may share an HTTP/2 connection, and HTTP/1.0 has no chunks.
        let close = (parts.version <= Version::HTTP_11).then_some(client.close);
        let wire = client.wire.filter(|_| parts.version == Version::HTTP_11 && parts.method != Method::HEAD);
        Ok(NewStream { stream_type, events: stream::empty().boxed(), permit, close, wire, rights_end, sender })
    }
}

/// Returns the position from which a browser resumes.
fn last_event_id(parts: &Parts) -> Result<Option<Position>, HttpRefusal> {
    let Some(value) = parts.headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(Some).ok_or_else(|| HttpRefusal::bad_request("last-event-id is not a position"))
}
