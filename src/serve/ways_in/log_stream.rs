//! Okta's Log Streaming, posted by an API destination of Amazon EventBridge.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::{IngestState, OrgPath};
use crate::event::IngestSource;
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Takes in one or several events. Status 200 means that all of them are durable.
pub(in crate::serve) async fn stream(
    State(state): State<IngestState>,
    org: OrgPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let (org, _) = state.orgs.authenticated(org, &headers)?;
    let events = state.received(&org, &headers, body).await?;
    state.take_in_time(org, IngestSource::LogStream, events, "NOT_A_LOG_EVENT").await
}
