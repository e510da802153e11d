//! The fuzzed reader of deliveries: bytes of every source, in every wrapper and encoding.

use std::sync::{Arc, LazyLock};

use serde_json::value::RawValue;

use super::body::BodyEncoding;
use super::import::sort_source;
use super::org_intake::OrgIntake;
use super::posted::sort_posted;
use super::sorted::{RecordReader, SortedRecords};
use crate::event::{COLUMNS, EventTypePattern, IngestSource, Timestamp};
use crate::okta::{Records, read_event};
use crate::store::{compress_json, decompress_json};

/// The maximum size of a decompressed body, in bytes.
const BODY_BYTES: usize = 1 << 20;

/// The maximum number of events of a record.
const MAX_EVENTS: usize = 20;

static INTAKE: LazyLock<Arc<OrgIntake>> = LazyLock::new(|| {
    let event_types = ["application.*", "user.*"].into_iter().filter_map(EventTypePattern::parse).collect();
    Arc::new(OrgIntake { event_types, ..OrgIntake::default() })
});

/// Reads a body as each source does. Events that are kept can be stored and read again, and none is counted twice.
pub(crate) fn deliveries(body: &[u8]) {
    let now = Timestamp::now();
    let reader = |source| RecordReader {
        org: "acme".to_owned(),
        intake: Arc::clone(&INTAKE),
        source,
        now,
        max_events: MAX_EVENTS,
        headers: "{}".to_owned(),
    };
    for source in [IngestSource::EventHook, IngestSource::Workflows, IngestSource::LogStream] {
        if let Ok(Ok(sorted)) = sort_posted(&reader(source), body, BodyEncoding::Identity, BODY_BYTES) {
            check(&sorted, now);
        }
    }
    for encoding in [BodyEncoding::Gzip, BodyEncoding::Zstd] {
        _ = encoding.decompress(body, BODY_BYTES).map(|body| assert!(body.len() <= BODY_BYTES));
    }
    let imported = sort_source(body, reader(IngestSource::Import), BODY_BYTES as u64);
    for sorted in &imported {
        check(sorted, now);
    }
    split_anywhere(body);
}

fn check(sorted: &SortedRecords, now: Timestamp) {
    for new in &sorted.events {
        let occurrence = &new.event.occurrence;
        let texts = COLUMNS.iter().filter_map(|column| occurrence.text(column.column));
        texts.into_iter().for_each(|text| assert!(!text.contains('\0'), "PostgreSQL cannot store {text:?}"));
        assert!(INTAKE.wants(occurrence.event_type()));
        new.prepare();
        let stored = compress_json(&new.event.raw);
        assert_eq!(decompress_json(&stored).ok().as_deref(), Some(new.event.raw.as_str()));
        let raw: Result<&RawValue, _> = serde_json::from_str(&new.event.raw);
        let read_again = raw.ok().and_then(|raw| read_event(raw, now).ok());
        assert_eq!(read_again.as_ref(), Some(occurrence), "{}", new.event.raw);
    }
}

/// Compares the records of a stream that comes at once with those of the same stream in pieces.
fn split_anywhere(stream: &[u8]) {
    let read = |piece: usize| {
        let (mut records, mut found) = (Records::new(BODY_BYTES), Vec::new());
        let mut each = |record: crate::okta::Record<'_>| {
            let bytes = match &record.content {
                Ok(json) => json.as_bytes(),
                Err(broken) => broken.bytes,
            };
            found.push((record.line, record.content.is_ok(), bytes.to_vec()));
        };
        stream.chunks(piece).for_each(|bytes| records.feed(bytes, &mut each));
        let is_whole = records.finish(&mut each);
        (found, is_whole)
    };
    let piece = 1 + stream.len() % 13;
    assert_eq!(read(stream.len().max(1)), read(piece), "in pieces of {piece} bytes");
}
