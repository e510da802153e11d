//! The routes for events: the org and its secret, the body, and the response.

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
use axum::extract::{FromRef, FromRequest, FromRequestParts as _, Path, Request};
use axum::http::{HeaderMap, StatusCode, header};
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::access::{self, RequestSender};
use super::authorization;
use super::body::{BodyFault, BodyLimits, TOO_SLOW};
use super::problem::Problem;
use crate::auth::{Authenticator, HookSecrets, Viewer};
use crate::event::{IngestSource, Scope};
use crate::ingest::{BodyEncoding, Intake, IntakeError, PostError, PostedBody, Receipt};

/// The state of the routes for events.
#[derive(Clone)]
pub(super) struct IngestState {
    pub(super) intake: Intake,
    pub(super) orgs: OrgSecrets,
    pub(super) authenticator: Authenticator,
    pub(super) body: BodyLimits,
    /// The time limit of a delivery of an event hook or of Log Streaming, see [`take_in_time`](Self::take_in_time).
    /// Okta retries a hook's delivery at most once, so a 503 must arrive in time.
    pub(super) hook_patience: Duration,
}

/// The hook secrets of every configured org.
#[derive(Clone)]
pub(super) struct OrgSecrets(pub(super) Arc<BTreeMap<String, HookSecrets>>);

impl FromRef<IngestState> for OrgSecrets {
    fn from_ref(state: &IngestState) -> Self {
        state.orgs.clone()
    }
}

/// The org in a request's path.
pub(super) type OrgPath = Result<Path<String>, PathRejection>;

impl OrgSecrets {
    fn org(&self, path: OrgPath) -> Result<(String, &HookSecrets), Problem> {
        let unknown = |text: String| Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_ORG", text);
        let Path(name) = path.map_err(|error| unknown(format!("the org's name is not valid: {error}")))?;
        match self.0.get(&name) {
            Some(secrets) => Ok((name, secrets)),
            None => Err(unknown(format!("there is no org {name:?}"))),
        }
    }

    /// Returns the org of a request, which must have one of the org's secrets.
    pub(super) fn authenticated(&self, path: OrgPath, headers: &HeaderMap) -> Result<(String, &HookSecrets), Problem> {
        let (org, secrets) = self.org(path)?;
        let value = value_of(secrets, headers);
        if secrets.accept(value) { Ok((org, secrets)) } else { Err(refuse(&org, secrets, value)) }
    }
}

/// Returns the value of the header that must have an org's secret.
fn value_of<'h>(secrets: &HookSecrets, headers: &'h HeaderMap) -> Option<&'h [u8]> {
    headers.get(&secrets.header).map(header::HeaderValue::as_bytes)
}

/// Counts a request without an org's secret, and returns the response to it.
fn refuse(org: &str, secrets: &HookSecrets, value: Option<&[u8]>) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", secrets.refuse(org, value))
}

/// A body for an org, from a sender with one of the org's secrets. The secret is checked before the body is read.
pub(super) struct OrgPost {
    org: String,
    posted: PostedBody,
}

impl FromRequest<IngestState> for OrgPost {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &IngestState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let path = Path::from_request_parts(&mut parts, state).await;
        let headers = &parts.headers;
        let (org, _) = state.orgs.authenticated(path, headers).inspect_err(|problem| {
            access::refused(&RequestSender::of(&parts.extensions, headers), None, problem.code());
        })?;
        let encoding = encoding_of(headers)?;
        let bytes = read_body(body, state.body).await?;
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let headers = state.intake.kept_headers(&org, headers);
        Ok(Self { org, posted: PostedBody { bytes, encoding, headers } })
    }
}

impl IngestState {
    /// Returns the org of an import, whose sender has one of the org's secrets, or the token of a reader with the scope `ingest`
    /// who sees all of the org. That viewer is returned, too.
    async fn importing(
        &self,
        path: OrgPath,
        headers: &HeaderMap,
        sender: &RequestSender,
    ) -> Result<(String, Option<Viewer>), Problem> {
        let tell = |viewer: Option<&Viewer>, problem: &Problem| access::refused(sender, viewer, problem.code());
        let (org, secrets) = self.orgs.org(path).inspect_err(|problem| tell(None, problem))?;
        let value = value_of(secrets, headers);
        if secrets.accept(value) {
            return Ok((org, None));
        }
        // Without readers, everybody is a viewer.
        let viewer = authorization::viewer(&self.authenticator, headers).await.ok();
        let viewer = viewer.filter(|_| !self.authenticator.is_open());
        let Some(viewer) = viewer else {
            return Err(refuse(&org, secrets, value)).inspect_err(|problem| tell(None, problem));
        };
        let allowed = viewer.require(Scope::Ingest).map_err(Problem::forbidden);
        allowed.inspect_err(|problem| tell(Some(&viewer), problem))?;
        if viewer.rights.rows().have_whole(&org) {
            return Ok((org, Some(viewer)));
        }
        let message = format!("this reader does not see all of the org {org:?} (readers.see)");
        Err(Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", message))
            .inspect_err(|problem| tell(Some(&viewer), problem))
    }

    /// Takes in a body, and responds with 503 before its sender times out: Okta's event hooks wait for 3 seconds,
    /// Amazon EventBridge for 5.
    async fn take_in_time(
        self,
        source: IngestSource,
        OrgPost { org, posted }: OrgPost,
        refusal: &'static str,
    ) -> Result<Json<Receipt>, Problem> {
        // A separate task, which a sender that disconnects does not interrupt.
        let (intake, name) = (self.intake, org.clone());
        let mut taken = tokio::spawn(async move { intake.take_posted(&name, source, posted).await }.in_current_span());
        if let Ok(taken) = timeout(self.hook_patience, &mut taken).await {
            return respond(taken, refusal);
        }
        // The abort starts no further append. Events that are queued already may still be stored; the retry then finds
        // them as duplicates.
        taken.abort();
        tracing::warn!(
            org,
            source = source.name(),
            seconds = self.hook_patience.as_secs_f64(),
            "the database took too long for a delivery; answering 503"
        );
        metrics::counter!("sluice_deliveries_timed_out_total", "org" => org).increment(1);
        Err(Problem::unavailable("the database is too slow; send it again"))
    }
}

/// Returns the encoding of a body; the error is the response for an unknown one.
fn encoding_of(headers: &HeaderMap) -> Result<BodyEncoding, Problem> {
    let encoding = BodyEncoding::named(headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes));
    let message = "unknown content-encoding: send the body uncompressed, or with gzip or zstd";
    encoding.ok_or_else(|| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING", message))
}

/// Returns the response for the result of an intake.
fn respond(
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
                tracing::error!(%error, "could not store rejected records");
            }
            Err(Problem::unavailable("the database is unavailable; send it again"))
        }
        Err(error) => {
            tracing::error!(%error, "taking in a body failed");
            Err(Problem::unavailable("the gateway failed; see its log"))
        }
    }
}

/// Reads a body. If the connection breaks off, the response is a 5xx, after which Okta retries; it never does after a
/// 4xx. If a body is too slow, Okta has given up already.
async fn read_body(body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    limits.read(body).await.map_err(|fault| match fault {
        BodyFault::TooLarge => {
            let message = format!("the body is larger than {} bytes (limits.delivery_body_bytes)", limits.bytes);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
        }
        BodyFault::TooSlow => Problem::too_slow(TOO_SLOW),
        BodyFault::BrokenOff(error) => Problem::unavailable(format!("the body is incomplete ({error}); send it again")),
    })
}
