//! Streams: one HTTP response with all answers of an operation.

mod event_stream;
mod multipart;
mod outlet;
mod sink;

pub(super) use outlet::StreamOutlet;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use tokio::time::{Instant, Interval, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::Subscribers;
use super::access::RequestSender;
use super::authorization;
use super::operation_events::OperationEvent;
use super::subscribers::SubscriberPermit;
use super::wire::Wire;
use crate::auth::RightsEnd;
use crate::graphql::Answer;
use crate::live::Progress;
use sink::{ClientGone, StreamSink};

/// Keeps nginx and similar proxies from buffering the response.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The settings of all streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) subscribers: Subscribers,
    /// The time after which a stream is closed if its client reads nothing.
    pub(super) write_timeout: Duration,
    /// The interval between two payloads without events, or heartbeats, by which clients and proxies see that the stream is
    /// alive.
    pub(super) heartbeat_interval: Duration,
}

/// The format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamType {
    /// `text/event-stream`
    EventStream,
    /// `multipart/mixed` of Apollo's subscriptions.
    Multipart,
}

impl StreamType {
    const fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => event_stream::CONTENT_TYPE,
            Self::Multipart => multipart::CONTENT_TYPE,
        }
    }

    /// Returns the text before the first answer.
    const fn opening(self) -> &'static str {
        match self {
            Self::EventStream => "",
            Self::Multipart => multipart::OPENING,
        }
    }

    fn write_answer(self, out: &mut String, answer: &Answer) {
        match self {
            Self::EventStream => event_stream::write_next(out, answer),
            Self::Multipart => multipart::write_payload(out, answer),
        }
    }

    /// Writes a heartbeat for an operation that has no progress to report.
    fn write_heartbeat(self, out: &mut String) {
        match self {
            Self::EventStream => event_stream::write_heartbeat(out),
            Self::Multipart => multipart::write_heartbeat(out),
        }
    }

    /// Writes the end of a complete operation.
    fn write_end(self, out: &mut String) {
        match self {
            Self::EventStream => event_stream::write_complete(out),
            Self::Multipart => multipart::write_end(out),
        }
    }

    /// Writes the end of a stream that the client resumes elsewhere.
    fn write_farewell(self, out: &mut String) {
        match self {
            // Clients take an end without `complete` for a broken connection, and connect again.
            Self::EventStream => {}
            Self::Multipart => multipart::write_farewell(out),
        }
    }
}

/// The parts of a new stream.
pub(super) struct NewStream {
    pub(super) stream_type: StreamType,
    pub(super) events: BoxStream<'static, OperationEvent>,
    pub(super) permit: SubscriberPermit,
    /// Closes the connection of a client that reads nothing; None if other requests may share the connection.
    pub(super) close: Option<CancellationToken>,
    /// The connection, if the stream may take it over.
    pub(super) wire: Option<Wire>,
    /// The end of the viewer's rights.
    pub(super) rights_end: BoxFuture<'static, RightsEnd>,
    pub(super) sender: RequestSender,
}

impl Streams {
    /// Responds with a stream of an operation's events, the first of which is given.
    pub(super) fn respond(&self, new: NewStream, first: OperationEvent) -> Response {
        let NewStream { stream_type, events, permit, close, wire, rights_end, sender } = new;
        // A stream that ends at once leaves the connection to the client's next request.
        let (sink, body) = StreamSink::new(wire.filter(|_| matches!(first, OperationEvent::Started(_))));
        let now = Instant::now();
        let writer = StreamWriter {
            stream_type,
            events,
            progress: None,
            heartbeat: interval_at(now + self.heartbeat_interval, self.heartbeat_interval),
            out: stream_type.opening().to_owned(),
            sink,
            write_timeout: self.write_timeout,
            rights_end,
            sender,
        };
        let subscribers = self.subscribers.clone();
        self.subscribers.spawn(async move {
            metrics::gauge!("sluice_streams").increment(1);
            if let StreamEnd::TooSlow = writer.run(first, subscribers).await {
                metrics::counter!("sluice_streams_cut_total").increment(1);
                tracing::debug!("closing a stream whose client reads too slowly");
                if let Some(close) = close {
                    close.cancel();
                }
            }
            metrics::gauge!("sluice_streams").decrement(1);
            drop(permit);
        });
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(stream_type.content_type())),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (ACCEL_BUFFERING, HeaderValue::from_static("no")),
        ];
        // `Connection: close` is left out, although the connection ends with the stream: with this header, some clients
        // (undici) cannot distinguish a broken stream from a complete one.
        (StatusCode::OK, headers, body).into_response()
    }
}

/// The reason why a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamEnd {
    /// The stream was sent completely, or the client is gone.
    Done,
    /// The client has read nothing for longer than the write timeout (backpressure).
    TooSlow,
}

/// A writer of one operation's events to one client.
struct StreamWriter {
    stream_type: StreamType,
    events: BoxStream<'static, OperationEvent>,
    /// The progress of a subscription; None for a query.
    progress: Option<Progress>,
    heartbeat: Interval,
    /// The text that is not sent yet.
    out: String,
    sink: StreamSink,
    write_timeout: Duration,
    rights_end: BoxFuture<'static, RightsEnd>,
    sender: RequestSender,
}

impl StreamWriter {
    async fn run(mut self, first: OperationEvent, subscribers: Subscribers) -> StreamEnd {
        let dismissed = subscribers.dismissed();
        tokio::pin!(dismissed);
        match timeout(self.write_timeout, self.sink.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(ClientGone)) => return StreamEnd::Done,
            Err(_) => return StreamEnd::TooSlow,
        }
        let mut goes_on = self.write(first);
        loop {
            // All text is sent before the next event is awaited, since an outlet may send that event.
            if let Err(end) = self.send(!goes_on).await {
                return end;
            }
            tokio::select! {
                event = self.events.next() => {
                    goes_on = self.write(event.unwrap_or(OperationEvent::Complete));
                }
                _ = self.heartbeat.tick() => self.write_heartbeat(),
                () = self.sink.closed() => return StreamEnd::Done,
                end = &mut self.rights_end => {
                    let (code, message) = authorization::of_rights_end(end);
                    self.sender.rights_ended(code);
                    self.events = stream::empty().boxed();
                    goes_on = self.write(OperationEvent::Error(Answer::refusal(code, message)));
                }
                () = &mut dismissed => {
                    // The operation ends first, so that no outlet sends anything after the end.
                    self.events = stream::empty().boxed();
                    self.stream_type.write_farewell(&mut self.out);
                    goes_on = false;
                }
            }
        }
    }

    /// Writes an event. Returns false if this is the last one.
    fn write(&mut self, event: OperationEvent) -> bool {
        match event {
            OperationEvent::Started(progress) => {
                self.progress = Some(progress);
                return true;
            }
            OperationEvent::Next(answers) => {
                for answer in answers {
                    self.stream_type.write_answer(&mut self.out, &answer);
                }
                return true;
            }
            OperationEvent::Error(answer) => self.stream_type.write_answer(&mut self.out, &answer),
            OperationEvent::Complete => {}
        }
        self.stream_type.write_end(&mut self.out);
        false
    }

    /// Writes a sign of life: a payload without events that reports the subscription's progress, or a heartbeat.
    fn write_heartbeat(&mut self) {
        match self.progress.as_ref().and_then(Progress::payload) {
            Some(payload) => self.stream_type.write_answer(&mut self.out, &Answer::of_payload(payload)),
            None => self.stream_type.write_heartbeat(&mut self.out),
        }
    }

    /// Sends the written text within the write timeout.
    async fn send(&mut self, is_end: bool) -> Result<(), StreamEnd> {
        let text = std::mem::take(&mut self.out);
        match timeout(self.write_timeout, self.sink.send(text, is_end)).await {
            Ok(Ok(())) if !is_end => {
                if let Some(progress) = &self.progress {
                    progress.sent();
                }
                Ok(())
            }
            Ok(_) => Err(StreamEnd::Done),
            Err(_) => Err(StreamEnd::TooSlow),
        }
    }
}
