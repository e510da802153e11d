//! Bodies that are posted whole: deliveries of event hooks, cards of Workflows, events of Log Streaming.

use bytes::Bytes;

use super::body::{BodyEncoding, UnpackError};
use super::import::{RECORD_BYTES, check_beginning};
use super::intake::{Intake, IntakeError, Receipt};
use super::large_bodies::LARGE_BODY;
use super::sorted::{RecordReader, Sorted};
use crate::event::{IngestSource, Timestamp};
use crate::okta::{DeliveryError, JsonBody, RawJson, Shape, is_event_bridge, read_delivery, read_records, read_shapes};
use crate::store::Rejection;

/// A request's body as it came in.
#[derive(Clone, Debug)]
pub struct PostedBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Their encoding, as the request names it.
    pub encoding: BodyEncoding,
    /// The request's headers that are kept, as JSON.
    pub headers: String,
}

/// Why a body is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The body is not what belongs to its way; it was kept in `rejected`. To send it again does not help.
    #[error("{0}")]
    NotReadable(String),
    /// The body is larger than what is taken; it was not kept.
    #[error("{0}")]
    TooLarge(String),
    /// The database is away: send it again.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl Intake {
    /// Takes in a body that was posted to a way. When this returns without an error, every event of the body is either
    /// in the log or in `rejected`, or of a type that is not wanted.
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
                self.take(org, source, Sorted { rejected, ..Sorted::default() }, None).await?;
                Err(PostError::NotReadable(reason))
            }
        }
    }
}

/// Unpacks and sorts a body, or rejects it as a whole where it does not belong to its way.
fn sort_posted(
    reader: &RecordReader,
    bytes: &[u8],
    encoding: BodyEncoding,
    limit: usize,
) -> Result<Result<Sorted, Rejection>, PostError> {
    match encoding.unpack(bytes, limit) {
        Ok(body) => Ok(read_posted(reader, &body).map_err(|reason| reader.rejection(reason, &body))),
        Err(error @ UnpackError::TooLarge(_)) => Err(PostError::TooLarge(error.to_string())),
        Err(error) => Ok(Err(reader.rejection(error.to_string(), bytes))),
    }
}

/// Sorts a body, or says why it does not belong to its way.
fn read_posted(reader: &RecordReader, body: &[u8]) -> Result<Sorted, String> {
    match reader.source {
        IngestSource::EventHook => read_hook(reader, body),
        IngestSource::Workflows => read_cards(reader, body),
        _ => read_stream(reader, body),
    }
}

fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let reason = check_beginning(body).map_or_else(|hint| hint.to_string(), |()| error.to_string());
    DeliveryError::NotJson(reason).to_string()
}

/// Reads the one delivery that an event hook posts.
fn read_hook(reader: &RecordReader, body: &[u8]) -> Result<Sorted, String> {
    let whole = JsonBody::new(body);
    let json = whole.json().map_err(|error| not_json(body, &error))?;
    let delivery = read_delivery(json).map_err(|error| match belongs_to(json) {
        Some((what, route)) => format!("{error}; it is {what}: send it to /okta/{}/{route}", reader.org),
        None => error.to_string(),
    })?;
    within_limit(delivery.events.len(), reader)?;
    let mut sorted = Sorted::default();
    reader.read_delivery(&delivery, &mut sorted);
    Ok(sorted)
}

/// Says what an object is that is no delivery, and to which route it belongs.
fn belongs_to(json: RawJson<'_>) -> Option<(&'static str, &'static str)> {
    if is_event_bridge(json) {
        return Some(("an envelope of Amazon EventBridge, as Okta's Log Streaming sends it", "log-stream"));
    }
    let mut found = None;
    // One that is no object is a list, of which each element would be read.
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

/// Reads the outputs of cards: one, or a list of them.
fn read_cards(reader: &RecordReader, body: &[u8]) -> Result<Sorted, String> {
    let whole = JsonBody::new(body);
    let json = whole.json().map_err(|error| not_json(body, &error))?;
    if !json.text().get().starts_with(['{', '[']) {
        let shape = DeliveryError::Shape("a card's output: expected an object, or a list of them");
        return Err(shape.to_string());
    }
    read_all(reader, body)
}

/// Reads events of Log Streaming: one in its envelope, as EventBridge posts it, or several in any form in which imports
/// have them.
fn read_stream(reader: &RecordReader, body: &[u8]) -> Result<Sorted, String> {
    let sorted = read_all(reader, body)?;
    if sorted.recognised > 0 || (sorted.rejected.is_empty() && !body.trim_ascii().is_empty()) {
        return Ok(sorted);
    }
    let found = sorted.rejected.first().map_or("it is empty", |rejection| rejection.reason.as_str());
    Err(format!("the body has no event of Log Streaming, which stands in `detail`: {found}"))
}

/// Reads all records of a body.
fn read_all(reader: &RecordReader, body: &[u8]) -> Result<Sorted, String> {
    let (mut sorted, mut number) = (Sorted::default(), 0);
    read_records(body, RECORD_BYTES, &mut |record| {
        // Events beyond the limit are counted, and not held in memory.
        number += if number > reader.max_events { 1 } else { reader.read_record(&record, &mut sorted) };
    });
    within_limit(number, reader)?;
    Ok(sorted)
}

fn within_limit(number: usize, reader: &RecordReader) -> Result<(), String> {
    let limit = reader.max_events;
    if number > limit { Err(DeliveryError::TooManyEvents { number, limit }.to_string()) } else { Ok(()) }
}
