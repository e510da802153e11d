//! Okta Workflows: flows that post the output of their cards.

use axum::Json;
use axum::extract::State;
use tracing::Instrument as _;

use super::{IngestState, OrgPost, respond};
use crate::event::IngestSource;
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Takes in the output of a card, or a list of outputs. Status 200 means that it is durable.
pub(in crate::serve) async fn relay(
    State(state): State<IngestState>,
    OrgPost { org, posted }: OrgPost,
) -> Result<Json<Receipt>, Problem> {
    // A separate task, which a flow that disconnects does not interrupt.
    let intake = state.intake;
    let take = async move { intake.take_posted(&org, IngestSource::Workflows, posted).await };
    respond(tokio::spawn(take.in_current_span()).await, "NOT_A_CARD")
}
