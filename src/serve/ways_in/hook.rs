//! Okta's event hooks: the challenge and the deliveries.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tracing::Instrument as _;

use super::{Org, WaysIn, answered};
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Okta asks once, before it delivers, whether somebody is there.
pub(in crate::serve) async fn challenge(
    State(ways_in): State<WaysIn>,
    org: Org,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    ways_in.org(org)?;
    let challenge = headers.get("x-okta-verification-challenge").and_then(|value| value.to_str().ok());
    let challenge = challenge.ok_or_else(|| {
        let message = "expected the header x-okta-verification-challenge; deliveries are POSTed here";
        Problem::new(StatusCode::BAD_REQUEST, "NO_CHALLENGE", message)
    })?;
    Ok(Json(json!({ "verification": challenge })))
}

/// Takes in one delivery. 200 means that it is durable.
pub(in crate::serve) async fn deliver(
    State(ways_in): State<WaysIn>,
    org: Org,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let (org, secrets) = ways_in.authenticated(org, &headers)?;
    let delivery = ways_in.received(secrets, &headers, body).await?;
    // A task of its own: Okta hanging up does not stop half-way what has been read.
    let intake = ways_in.intake;
    let taken = tokio::spawn(async move { intake.take_delivery(&org, delivery).await }.in_current_span());
    answered(taken.await, "NOT_A_DELIVERY")
}
