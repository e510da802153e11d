//! An operation's answers as one HTTP response that goes on for as long as there are answers.

mod event_stream;
mod line;
mod multipart;

pub(super) use line::StreamOutlet;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::time::{Instant, Interval, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::Subscribers;
use super::happenings::Happening;
use super::subscribers::Place;
use super::wire::Wire;
use crate::event::Position;
use crate::graphql::Answer;
use crate::live::Progress;
use line::{Gone, Line};

/// Keeps nginx and its like from holding answers back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What streams have in common.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) subscribers: Subscribers,
    /// How long a client may take to accept what is sent.
    pub(super) write_timeout: Duration,
    /// How often a stream shows that it lives.
    pub(super) beat_interval: Duration,
}

/// How answers are written one after the other.
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

    /// What comes before everything.
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

    /// Whether a sign of life has a place for a position.
    fn tells_progress(self) -> bool {
        self == Self::EventStream
    }

    /// A sign of life; with a position through which the subscriber has been told everything, if that is news.
    fn write_beat(self, out: &mut String, position: Option<Position>) {
        match self {
            Self::EventStream => event_stream::write_beat(out, position),
            Self::Multipart => multipart::write_beat(out),
        }
    }

    /// There is no more.
    fn write_end(self, out: &mut String) {
        match self {
            Self::EventStream => event_stream::write_complete(out),
            Self::Multipart => multipart::write_end(out),
        }
    }

    /// There is more, but not here: the client resumes.
    fn write_farewell(self, out: &mut String) {
        match self {
            // An end without `complete` is a connection that broke.
            Self::EventStream => {}
            Self::Multipart => multipart::write_farewell(out),
        }
    }
}

/// A stream that is to begin.
pub(super) struct NewStream {
    pub(super) stream_type: StreamType,
    pub(super) happenings: BoxStream<'static, Happening>,
    pub(super) place: Place,
    /// Cuts off the connection of a client that takes nothing, while HTTP is spoken on it; None where others use it, too.
    pub(super) cut: Option<CancellationToken>,
    /// The connection, where the stream may have it for itself.
    pub(super) wire: Option<Wire>,
}

impl Streams {
    /// Answers with a stream: what happened first, and then what happens.
    pub(super) fn respond(&self, new: NewStream, first: Happening) -> Response {
        let NewStream { stream_type, happenings, place, cut, wire } = new;
        // What ends at once leaves the connection to the client's next request.
        let (line, body) = Line::new(wire.filter(|_| matches!(first, Happening::Started(_))));
        let now = Instant::now();
        let teller = Teller {
            stream_type,
            happenings,
            progress: None,
            told: None,
            beat: interval_at(now + self.beat_interval, self.beat_interval),
            out: stream_type.opening().to_owned(),
            line,
            write_timeout: self.write_timeout,
        };
        let subscribers = self.subscribers.clone();
        self.subscribers.spawn(async move {
            metrics::gauge!("sluice_streams").increment(1);
            if let Told::TooSlow = teller.tell(first, subscribers).await {
                metrics::counter!("sluice_streams_cut_total").increment(1);
                tracing::debug!("cutting off a stream whose client reads too slowly");
                if let Some(cut) = cut {
                    cut.cancel();
                }
            }
            metrics::gauge!("sluice_streams").decrement(1);
            drop(place);
        });
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(stream_type.content_type())),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (ACCEL_BUFFERING, HeaderValue::from_static("no")),
        ];
        // Without `Connection: close`, though it ends with the stream: with it, there are clients (undici) that take a stream
        // which breaks for one that ends.
        (StatusCode::OK, headers, body).into_response()
    }
}

/// How telling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// As it should, or because the client is gone.
    Done,
    /// The client took nothing for too long.
    TooSlow,
}

/// Tells one client what happens to its operation.
struct Teller {
    stream_type: StreamType,
    happenings: BoxStream<'static, Happening>,
    progress: Option<Progress>,
    /// The position that the client was told last.
    told: Option<Position>,
    beat: Interval,
    /// What is to be sent.
    out: String,
    line: Line,
    write_timeout: Duration,
}

impl Teller {
    async fn tell(mut self, first: Happening, subscribers: Subscribers) -> Told {
        let dismissed = subscribers.dismissed();
        tokio::pin!(dismissed);
        match timeout(self.write_timeout, self.line.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(Gone)) => return Told::Done,
            Err(_) => return Told::TooSlow,
        }
        let mut goes_on = self.write(first);
        loop {
            // All is sent before more is asked for: an outlet may send that.
            if let Err(end) = self.send(!goes_on).await {
                return end;
            }
            tokio::select! {
                happening = self.happenings.next() => {
                    goes_on = self.write(happening.unwrap_or(Happening::Complete));
                }
                _ = self.beat.tick() => self.write_beat(),
                () = self.line.closed() => return Told::Done,
                () = &mut dismissed => {
                    // First: nothing comes behind the end.
                    self.happenings = stream::empty().boxed();
                    self.stream_type.write_farewell(&mut self.out);
                    goes_on = false;
                }
            }
        }
    }

    /// Writes what happened; gives false where that is the end.
    fn write(&mut self, happening: Happening) -> bool {
        match happening {
            Happening::Started(progress) => {
                self.progress = Some(progress);
                // Whoever is cut off before the first event goes on from here.
                self.write_beat();
                return true;
            }
            Happening::Next(answers) => {
                for answer in answers {
                    self.told = answer.position.or(self.told);
                    self.stream_type.write_answer(&mut self.out, &answer);
                }
                return true;
            }
            Happening::Error(answer) => self.stream_type.write_answer(&mut self.out, &answer),
            Happening::Complete => {}
        }
        self.stream_type.write_end(&mut self.out);
        false
    }

    fn write_beat(&mut self) {
        let progress = self.progress.as_ref().filter(|_| self.stream_type.tells_progress());
        // Only news: a client resumes from what it was told last.
        let is_news = |position: &Position| self.told.is_none_or(|told| told < *position);
        let position = progress.and_then(Progress::hold).filter(is_news);
        self.told = position.or(self.told);
        self.stream_type.write_beat(&mut self.out, position);
    }

    /// Sends what is written, within the time that the client has to take it.
    async fn send(&mut self, is_end: bool) -> Result<(), Told> {
        let text = std::mem::take(&mut self.out);
        match timeout(self.write_timeout, self.line.send(text, is_end)).await {
            Ok(Ok(())) if !is_end => Ok(()),
            Ok(_) => Err(Told::Done),
            Err(_) => Err(Told::TooSlow),
        }
    }
}
