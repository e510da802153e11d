//! Okta's event hooks: the challenge and the deliveries.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{IngestState, OrgPath, OrgPost, OrgSecrets};
use crate::event::IngestSource;
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Responds to the challenge that Okta sends once, before it delivers to a URL.
pub(in crate::serve) async fn challenge(
    State(orgs): State<OrgSecrets>,
    org: OrgPath,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    orgs.org(org)?;
    let challenge = headers.get("x-okta-verification-challenge").and_then(|value| value.to_str().ok());
    let challenge = challenge.ok_or_else(|| {
        let message = "the header x-okta-verification-challenge is missing; deliveries are sent by POST";
        Problem::new(StatusCode::BAD_REQUEST, "NO_CHALLENGE", message)
    })?;
    Ok(Json(json!({ "verification": challenge })))
}

/// Takes in a delivery. Status 200 means that it is durable.
pub(in crate::serve) async fn deliver(
    State(state): State<IngestState>,
    delivery: OrgPost,
) -> Result<Json<Receipt>, Problem> {
    state.take_in_time(IngestSource::EventHook, delivery, "NOT_A_DELIVERY").await
}
