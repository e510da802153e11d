//! Okta's event hooks: the challenge and the deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::LengthLimitError;
use serde_json::{Value, json};
use tracing::Instrument as _;

use super::problem::Problem;
use crate::auth::HookSecrets;
use crate::ingest::{BodyEncoding, HookError, Intake, Receipt, ReceivedDelivery, redacted_headers};

/// What deliveries need.
#[derive(Clone)]
pub(super) struct Hooks {
    pub(super) intake: Intake,
    pub(super) orgs: Arc<BTreeMap<String, HookSecrets>>,
    pub(super) body_bytes: usize,
}

/// How long a body may take to come in. Okta itself waits 3 seconds for the whole answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The org that a request's path names.
type Org = Result<Path<String>, PathRejection>;

impl Hooks {
    fn org(&self, path: Org) -> Result<(String, &HookSecrets), Problem> {
        let unknown = |text: String| Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_ORG", text);
        let Path(name) = path.map_err(|error| unknown(format!("there is no such org here: {error}")))?;
        match self.orgs.get(&name) {
            Some(secrets) => Ok((name, secrets)),
            None => Err(unknown(format!("there is no org {name:?} here"))),
        }
    }
}

/// Okta asks once, before it delivers, whether somebody is there.
pub(super) async fn challenge(
    State(hooks): State<Hooks>,
    org: Org,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    hooks.org(org)?;
    let challenge = headers.get("x-okta-verification-challenge").and_then(|value| value.to_str().ok());
    let challenge = challenge.ok_or_else(|| {
        let message = "expected the header x-okta-verification-challenge; deliveries are POSTed here";
        Problem::new(StatusCode::BAD_REQUEST, "NO_CHALLENGE", message)
    })?;
    Ok(Json(json!({ "verification": challenge })))
}

/// Takes in one delivery. 200 means that it is durable.
pub(super) async fn deliver(
    State(hooks): State<Hooks>,
    org: Org,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let (org, secrets) = hooks.org(org)?;
    if !secrets.accept(headers.get(&secrets.header).map(header::HeaderValue::as_bytes)) {
        metrics::counter!("sluice_hooks_refused_total", "org" => org).increment(1);
        let message = format!("the header {} does not hold a hook secret of this org", secrets.header);
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message));
    }
    let encoding = BodyEncoding::named(headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes));
    let Some(encoding) = encoding else {
        let message = "the body's content-encoding is not known: send it plain or with gzip";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING", message));
    };
    let body = read_body(body, hooks.body_bytes).await?;
    let kept = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let delivery = ReceivedDelivery { body, encoding, headers: redacted_headers(kept, &secrets.header) };
    // A task of its own: Okta hanging up does not stop half-way what has been read.
    let intake = hooks.intake;
    let taken = tokio::spawn(async move { intake.take_delivery(&org, delivery).await }.in_current_span());
    match taken.await {
        Ok(Ok(receipt)) => Ok(Json(receipt)),
        Ok(Err(HookError::NotADelivery(error))) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "NOT_A_DELIVERY", error.clone()))
        }
        Ok(Err(HookError::TooLarge(error))) => Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", error)),
        Ok(Err(HookError::Append(error))) => Err(Problem::unavailable(error.to_string())),
        Ok(Err(HookError::Store(error))) => {
            tracing::error!(%error, "could not keep what was rejected");
            Err(Problem::unavailable("the database is not available; send the delivery again"))
        }
        Err(error) => {
            tracing::error!(%error, "a delivery was not taken in");
            Err(Problem::unavailable("the gateway failed; its log says why"))
        }
    }
}

/// The whole body, as it came. What cannot be read now may be sent again: Okta does that after a 5xx, and never after
/// a 4xx.
async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, limit)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error))
            if std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>) =>
        {
            let message = format!("the body is larger than {limit} bytes (limits.delivery_body_bytes)");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message))
        }
        Ok(Err(error)) => Err(Problem::unavailable(format!("the body breaks off ({error}); send it again"))),
        Err(_) => Err(Problem::unavailable("the body took too long to come in; send it again")),
    }
}
