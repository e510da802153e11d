//! Okta's Log Streaming, as an API destination of Amazon EventBridge posts it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use super::{Org, WaysIn};
use crate::event::IngestSource;
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Takes in an event in its envelope, or several. 200 means that all of them are durable.
pub(in crate::serve) async fn stream(
    State(ways_in): State<WaysIn>,
    org: Org,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let (org, _) = ways_in.orgs.authenticated(org, &headers)?;
    let events = ways_in.received(&org, &headers, body).await?;
    ways_in.take_in_time(org, IngestSource::LogStream, events, "NOT_A_LOG_EVENT").await
}
