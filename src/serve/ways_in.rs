//! The ways in from outside: which org, with which secret, and the body.

pub(super) mod hook;
pub(super) mod import;
pub(super) mod log_stream;
pub(super) mod workflows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, Path};
use axum::http::{HeaderMap, StatusCode, header};
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::body::{BodyFault, BodyLimits, TOO_SLOW};
use super::problem::Problem;
use crate::auth::HookSecrets;
use crate::event::IngestSource;
use crate::ingest::{BodyEncoding, Intake, IntakeError, PostError, PostedBody, Receipt};

/// What the ways in need.
#[derive(Clone)]
pub(super) struct WaysIn {
    pub(super) intake: Intake,
    pub(super) orgs: OrgSecrets,
    pub(super) body: BodyLimits,
    /// Time limit of a delivery of an event hook or of Log Streaming, see [`take_in_time`](Self::take_in_time). Okta retries
    /// a hook's delivery at most once, so a 503 must arrive in time.
    pub(super) hook_patience: Duration,
}

/// The hook secrets of every configured org.
#[derive(Clone)]
pub(super) struct OrgSecrets(pub(super) Arc<BTreeMap<String, HookSecrets>>);

impl FromRef<WaysIn> for OrgSecrets {
    fn from_ref(ways_in: &WaysIn) -> Self {
        ways_in.orgs.clone()
    }
}

/// The org that a request's path names.
pub(super) type Org = Result<Path<String>, PathRejection>;

impl OrgSecrets {
    fn org(&self, path: Org) -> Result<(String, &HookSecrets), Problem> {
        let unknown = |text: String| Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_ORG", text);
        let Path(name) = path.map_err(|error| unknown(format!("there is no such org here: {error}")))?;
        match self.0.get(&name) {
            Some(secrets) => Ok((name, secrets)),
            None => Err(unknown(format!("there is no org {name:?} here"))),
        }
    }

    /// The org of a request, which must bear one of its secrets.
    pub(super) fn authenticated(&self, path: Org, headers: &HeaderMap) -> Result<(String, &HookSecrets), Problem> {
        let (org, secrets) = self.org(path)?;
        let value = headers.get(&secrets.header).map(header::HeaderValue::as_bytes);
        if secrets.accept(value) {
            return Ok((org, secrets));
        }
        Err(Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", secrets.refuse(&org, value)))
    }
}

impl WaysIn {
    /// Reads a request's body as a whole, with those of its headers that are kept.
    async fn received(&self, org: &str, headers: &HeaderMap, body: Body) -> Result<PostedBody, Problem> {
        let encoding = BodyEncoding::named(headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes));
        let encoding = encoding.ok_or_else(unknown_encoding)?;
        let bytes = read_body(body, self.body).await?;
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Ok(PostedBody { bytes, encoding, headers: self.intake.kept_headers(org, headers) })
    }

    /// Takes in a body whose sender does not wait for long, and answers 503 before it gives up: Okta's event hooks wait
    /// for 3 seconds, Amazon EventBridge for 5.
    async fn take_in_time(
        self,
        org: String,
        source: IngestSource,
        posted: PostedBody,
        refusal: &'static str,
    ) -> Result<Json<Receipt>, Problem> {
        // A task of its own: a sender that hangs up does not stop half-way what has been read.
        let (intake, name) = (self.intake, org.clone());
        let mut taken = tokio::spawn(async move { intake.take_posted(&name, source, posted).await }.in_current_span());
        if let Ok(taken) = timeout(self.hook_patience, &mut taken).await {
            return answered(taken, refusal);
        }
        // The abort starts no further append. Events that already wait for their commit may still be stored; the retry
        // then finds them as duplicates.
        taken.abort();
        tracing::warn!(
            org,
            source = source.name(),
            seconds = self.hook_patience.as_secs_f64(),
            "the database took too long for a delivery; answering 503"
        );
        metrics::counter!("sluice_deliveries_timed_out_total", "org" => org).increment(1);
        Err(Problem::unavailable("the database takes too long; send it again"))
    }
}

/// The body is packed in a way that is not known.
fn unknown_encoding() -> Problem {
    let message = "the body's content-encoding is not known: send it plain, with gzip or with zstd";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING", message)
}

/// What is answered to who brought something.
fn answered(
    taken: Result<Result<Receipt, PostError>, JoinError>,
    refusal: &'static str,
) -> Result<Json<Receipt>, Problem> {
    match taken {
        Ok(Ok(receipt)) => Ok(Json(receipt)),
        Ok(Err(PostError::NotReadable(error))) => Err(Problem::new(StatusCode::BAD_REQUEST, refusal, error)),
        Ok(Err(PostError::TooLarge(error))) => Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", error)),
        Ok(Err(PostError::Intake(IntakeError::Append(error)))) => Err(Problem::unavailable(error.to_string())),
        Ok(Err(PostError::Intake(IntakeError::Store(error)))) => {
            if !error.is_logged() {
                tracing::error!(%error, "could not keep what was rejected");
            }
            Err(Problem::unavailable("the database is not available; send it again"))
        }
        Err(error) => {
            tracing::error!(%error, "what came in was not taken in");
            Err(Problem::unavailable("the gateway failed; its log says why"))
        }
    }
}

/// The whole body, as it came. What breaks off may be sent again: Okta does that after a 5xx, and never after a 4xx. When
/// a body is too slow, Okta has given up already.
async fn read_body(body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    limits.read(body).await.map_err(|fault| match fault {
        BodyFault::TooLarge => {
            let message = format!("the body is larger than {} bytes (limits.delivery_body_bytes)", limits.bytes);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
        }
        BodyFault::TooSlow => Problem::too_slow(TOO_SLOW),
        BodyFault::BrokenOff(error) => Problem::unavailable(format!("the body breaks off ({error}); send it again")),
    })
}
