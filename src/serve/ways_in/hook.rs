//! Okta's event hooks: the challenge and the deliveries.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Org, OrgSecrets, WaysIn};
use crate::event::IngestSource;
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
    let (org, _) = ways_in.orgs.authenticated(org, &headers)?;
    let delivery = ways_in.received(&org, &headers, body).await?;
    ways_in.take_in_time(org, IngestSource::EventHook, delivery, "NOT_A_DELIVERY").await
}
