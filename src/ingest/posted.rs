//! Bodies of POST requests: deliveries of event hooks, cards of Workflows, events of Log Streaming.

use bytes::Bytes;

use super::body::{BodyEncoding, DecompressError};
use super::import::{RECORD_BYTES, check_beginning};
use super::intake::{Intake, IntakeError, Receipt};
use super::large_bodies::LARGE_BODY;
use super::sorted::{RecordReader, SortedRecords};
use crate::event::{IngestSource, Timestamp};
use crate::ledger::Rejection;
use crate::okta::{JsonBody, MalformedBody, RawJson, Shape, is_event_bridge, read_delivery, read_records, read_shapes};

/// The body of a request.
#[derive(Clone, Debug)]
pub struct PostedBody {
    /// The bytes.
    pub bytes: Bytes,
    /// The encoding that the request names.
    pub encoding: BodyEncoding,
    /// The request's headers that are stored, as JSON.
    pub headers: String,
}

/// The reason why a body is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The body does not belong to the route; it was stored in `rejected`, and sending it again does not help.
    #[error("{0}")]
    NotReadable(String),
    /// The body is larger than the limit; it was not stored.
    #[error("{0}")]
    TooLarge(String),
    /// The database is unavailable; the sender must retry.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl Intake {
    /// Takes in a body from one of the sources. When this returns without an error, every event of the body is either
    /// in the log or in `rejected`, or was dropped because of its type.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn take_posted(&self, org: &str, source: IngestSource, posted: PostedBody) -> Result<Receipt, PostError> {
        let PostedBody { bytes, encoding, headers } = posted;
        let reader = RecordReader { headers, ..self.record_reader(org, source) };
        let (is_large, limit) = (bytes.len() >= LARGE_BODY, self.limits.body_bytes);
        let sort = move || sort_posted(&reader, &bytes, encoding, limit);
        match if is_large { self.large_bodies.read(sort).await } else { sort() }? {
            Ok(sorted) => Ok(self.take(org, source, sorted, None).await?.receipt),
            Err(rejection) => {
                let reason = rejection.reason.clone();
                let rejected = vec![rejection];
                self.take(org, source, SortedRecords { rejected, ..SortedRecords::default() }, None).await?;
                Err(PostError::NotReadable(reason))
            }
        }
    }
}

/// Decompresses a body and sorts its records. A body that does not belong to the route is rejected as a whole.
pub(super) fn sort_posted(
    reader: &RecordReader,
    bytes: &[u8],
    encoding: BodyEncoding,
    limit: usize,
) -> Result<Result<SortedRecords, Rejection>, PostError> {
    match encoding.decompress(bytes, limit) {
        Ok(body) => Ok(read_posted(reader, &body).map_err(|reason| reader.rejection(reason, &body))),
        Err(error @ DecompressError::TooLarge(_)) => Err(PostError::TooLarge(error.to_string())),
        Err(error) => Ok(Err(reader.rejection(error.to_string(), bytes))),
    }
}

/// Sorts the records of a body. The error is the reason why the body does not belong to the route.
fn read_posted(reader: &RecordReader, body: &[u8]) -> Result<SortedRecords, String> {
    match reader.source {
        IngestSource::EventHook => read_hook(reader, body),
        IngestSource::Workflows => read_cards(reader, body),
        _ => read_stream(reader, body),
    }
}

fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let reason = check_beginning(body).map_or_else(|hint| hint.to_string(), |()| error.to_string());
    MalformedBody::NotJson(reason).to_string()
}

/// Reads an event hook's delivery.
fn read_hook(reader: &RecordReader, body: &[u8]) -> Result<SortedRecords, String> {
    let whole = JsonBody::new(body);
    let json = whole.json().map_err(|error| not_json(body, &error))?;
    let delivery = read_delivery(json).map_err(|error| match other_route(json) {
        Some((what, route)) => format!("{error}; it is {what}: send it to /okta/{}/{route}", reader.org),
        None => error.to_string(),
    })?;
    within_limit(delivery.events.len(), reader)?;
    let mut sorted = SortedRecords::default();
    reader.read_delivery(&delivery, &mut sorted);
    Ok(sorted)
}

/// Names an object that is not a delivery, and the route to which it belongs.
fn other_route(json: RawJson<'_>) -> Option<(&'static str, &'static str)> {
    if is_event_bridge(json) {
        return Some(("an envelope of Amazon EventBridge, as Okta's Log Streaming sends it", "log-stream"));
    }
    let mut found = None;
    // Anything but an object is a list, of which each element would be parsed.
    if json.text().get().starts_with('{') {
        read_shapes(json, Timestamp::now(), &mut |_, shape| {
            found = found.or(match shape {
                Shape::Event(Ok(_)) => Some(("an event of the System Log", "import")),
                Shape::Card(_) => Some(("the output of a card of Okta Workflows", "workflows")),
                _ => None,
            });
        });
    }
    found
}

/// Reads the output of a card, or a list of outputs.
fn read_cards(reader: &RecordReader, body: &[u8]) -> Result<SortedRecords, String> {
    let whole = JsonBody::new(body);
    let json = whole.json().map_err(|error| not_json(body, &error))?;
    if !json.text().get().starts_with(['{', '[']) {
        let shape = MalformedBody::Shape("a card's output: expected an object, or a list of them");
        return Err(shape.to_string());
    }
    read_all(reader, body)
}

/// Reads events of Log Streaming: one in its envelope, as EventBridge posts it, or several in any format that imports
/// accept.
fn read_stream(reader: &RecordReader, body: &[u8]) -> Result<SortedRecords, String> {
    let sorted = read_all(reader, body)?;
    if sorted.recognised > 0 || (sorted.rejected.is_empty() && !body.trim_ascii().is_empty()) {
        return Ok(sorted);
    }
    let found = sorted.rejected.first().map_or("it is empty", |rejection| rejection.reason.as_str());
    Err(format!("the body has no event of Log Streaming, which would be in `detail`: {found}"))
}

/// Reads all records of a body.
fn read_all(reader: &RecordReader, body: &[u8]) -> Result<SortedRecords, String> {
    let (mut sorted, mut number) = (SortedRecords::default(), 0);
    read_records(body, RECORD_BYTES, &mut |record| {
        // Events beyond the limit are counted but not held in memory.
        number += if number > reader.max_events { 1 } else { reader.read_record(&record, &mut sorted) };
    });
    within_limit(number, reader)?;
    Ok(sorted)
}

fn within_limit(number: usize, reader: &RecordReader) -> Result<(), String> {
    let limit = reader.max_events;
    if number > limit { Err(MalformedBody::TooManyEvents { number, limit }.to_string()) } else { Ok(()) }
}
