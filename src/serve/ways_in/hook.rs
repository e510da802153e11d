//! Okta's event hooks: the challenge and the deliveries.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::{Org, OrgSecrets, WaysIn, answered};
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Okta asks once, before it delivers, whether somebody is there.
pub(in crate::serve) async fn challenge(
    State(orgs): State<OrgSecrets>,
    org: Org,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    orgs.org(org)?;
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
    let (org, secrets) = ways_in.orgs.authenticated(org, &headers)?;
    let delivery = ways_in.received(secrets, &headers, body).await?;
    // A task of its own: Okta hanging up does not stop half-way what has been read.
    let intake = ways_in.intake.clone();
    let name = org.clone();
    let mut taken = tokio::spawn(async move { intake.take_delivery(&name, delivery).await }.in_current_span());
    if let Ok(taken) = timeout(ways_in.hook_patience, &mut taken).await {
        return answered(taken, "NOT_A_DELIVERY");
    }
    // The abort starts no further append. Events that already wait for their commit may still be stored; Okta's retry then
    // finds them as duplicates.
    taken.abort();
    tracing::warn!(
        org,
        seconds = ways_in.hook_patience.as_secs_f64(),
        "the database took too long for a delivery; answering 503"
    );
    metrics::counter!("sluice_deliveries_timed_out_total", "org" => org).increment(1);
    Err(Problem::unavailable("the database takes too long; send it again"))
}
