//! The access log: which reader read what, as log lines of a target of their own. A thread writes them, so that no answer waits for
//! a slow disk or a full pipe.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tracing::{Level, Span};

/// The target of the access log's lines.
pub(crate) const TARGET: &str = "sluice::access_log";

/// The maximum number of records that wait for the thread.
const MAX_WAITING: usize = 4096;

/// The maximum length of a name that a client chooses, in bytes.
const MAX_NAME: usize = 100;

/// The event that a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessEvent {
    /// A query was answered or refused.
    Read,
    /// A subscription began.
    FollowStarted,
    /// A subscription ended.
    FollowEnded,
    /// A person signed in, or could not.
    SignIn,
    /// A person signed out, or an issuer ended sessions.
    SignOut,
    /// Events were imported over HTTP.
    Import,
    /// A request was refused, since its sender is unknown or has no rights.
    Denied,
}

/// A record. None is a fact that the record does not have.
#[derive(Clone, Debug)]
pub(crate) struct AccessRecord {
    pub(crate) event: AccessEvent,
    /// The reader's name, or the subject of a token.
    pub(crate) reader: Option<String>,
    /// The kind of the credential.
    pub(crate) credential: &'static str,
    /// The configured name of the issuer of a token or a session.
    pub(crate) issuer: Option<String>,
    pub(crate) address: Option<IpAddr>,
    /// The name that a client gives itself.
    pub(crate) client: Option<String>,
    pub(crate) client_version: Option<String>,
    /// The SHA-256 of the document, in hexadecimal digits.
    pub(crate) document: Option<String>,
    pub(crate) operation: Option<String>,
    /// `ok`, `cancelled`, or the code of the first error.
    pub(crate) verdict: Cow<'static, str>,
    pub(crate) rows: Option<u64>,
    pub(crate) database_ms: Option<f64>,
    /// The position after which a subscription's events are.
    pub(crate) from: Option<String>,
    /// The position through which a subscription's events were sent.
    pub(crate) through: Option<String>,
    /// The number of events that were sent or imported.
    pub(crate) events: Option<u64>,
    pub(crate) org: Option<String>,
    /// The span of the request.
    pub(crate) span: Span,
}

enum AccessMessage {
    Record(Box<AccessRecord>),
    /// Everything before it is to be written; then its sender is dropped.
    Flush(SyncSender<()>),
}

/// The number of records that were dropped since the last line about it.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The way to the thread. Without a thread, all records are dropped and counted.
static RECORDS: LazyLock<SyncSender<AccessMessage>> = LazyLock::new(|| {
    let (sender, records) = sync_channel(MAX_WAITING);
    let started = std::thread::Builder::new().name("access log".to_owned()).spawn(move || write_all(&records));
    if let Err(error) = started {
        tracing::error!(%error, "the access log has no thread: its records are dropped");
    }
    sender
});

impl AccessEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "graph.read",
            Self::FollowStarted => "graph.follow.started",
            Self::FollowEnded => "graph.follow.ended",
            Self::SignIn => "auth.sign_in",
            Self::SignOut => "auth.sign_out",
            Self::Import => "ingest.import",
            Self::Denied => "request.denied",
        }
    }
}

/// Returns true if the settings of log lines want the access log.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::INFO)
}

/// Hands a record to the thread, without waiting. A record for which there is no room is dropped and counted.
pub(crate) fn write(record: AccessRecord) {
    if RECORDS.try_send(AccessMessage::Record(Box::new(record))).is_err() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("sluice_access_log_dropped_total").increment(1);
    }
}

/// Waits until the records before this call are written, but for a second at most.
pub(crate) fn flush() {
    if !is_on() {
        return;
    }
    let (sender, done) = sync_channel(1);
    if RECORDS.try_send(AccessMessage::Flush(sender)).is_ok() {
        _ = done.recv_timeout(Duration::from_secs(1));
    }
}

/// Returns the SHA-256 of a document, in hexadecimal digits.
pub(crate) fn hash_of(document: &str) -> String {
    Sha256::digest(document).iter().fold(String::with_capacity(64), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns a name that a client has chosen, shortened if it is long.
pub(crate) fn short_name(name: &str) -> String {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default().to_owned()
}

/// Returns the name of an operation; None if a client has sent another text in its place, which may hold anything.
pub(crate) fn operation_name(text: &str) -> Option<String> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !text.is_empty()).then(|| short_name(text))
}

fn write_all(records: &Receiver<AccessMessage>) {
    while let Ok(message) = records.recv() {
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "the access log could not be written fast enough: records were dropped");
        }
        match message {
            AccessMessage::Record(record) => write_line(&record),
            AccessMessage::Flush(done) => drop(done),
        }
    }
}

fn write_line(record: &AccessRecord) {
    // The JSON of a line has the spans that the thread is in.
    let _request = record.span.enter();
    tracing::info!(
        target: TARGET,
        reader = record.reader,
        credential = record.credential,
        issuer = record.issuer,
        address = record.address.map(tracing::field::display),
        client = record.client,
        client_version = record.client_version,
        org = record.org,
        document = record.document,
        operation = record.operation,
        verdict = &*record.verdict,
        rows = record.rows,
        database_ms = record.database_ms,
        from = record.from,
        through = record.through,
        events = record.events,
        "{}",
        record.event.name()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_operations_have_names_only() {
        assert_eq!(short_name(&"é".repeat(99)), "é".repeat(50));
        assert_eq!(operation_name("Page_1"), Some("Page_1".to_owned()));
        assert_eq!(operation_name(&"a".repeat(1_000)), Some("a".repeat(100)));
        for other in ["", "a person's name", "grace@acme.example"] {
            assert_eq!(operation_name(other), None, "{other}");
        }
    }

    #[test]
    fn documents_are_known_by_their_sha_256() {
        assert_eq!(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    /// A process without a tracing subscriber has no access log.
    #[test]
    fn the_access_log_is_off_by_itself() {
        assert!(!is_on());
    }
}
