//! Okta's Log Streaming, posted by an API destination of Amazon EventBridge.

use axum::Json;
use axum::extract::State;

use super::{IngestState, OrgPost};
use crate::event::IngestSource;
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Takes in one or several events. Status 200 means that all of them are durable.
pub(in crate::serve) async fn stream(
    State(state): State<IngestState>,
    events: OrgPost,
) -> Result<Json<Receipt>, Problem> {
    state.take_in_time(IngestSource::LogStream, events, "NOT_A_LOG_EVENT").await
}
