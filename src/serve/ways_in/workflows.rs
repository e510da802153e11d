//! Okta Workflows: flows that relay their card's output.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use tracing::Instrument as _;

use super::{Org, WaysIn, answered};
use crate::event::IngestSource;
use crate::ingest::Receipt;
use crate::serve::problem::Problem;

/// Takes in a card's output, or a list of them. 200 means that it is durable.
pub(in crate::serve) async fn relay(
    State(ways_in): State<WaysIn>,
    org: Org,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Problem> {
    let (org, _) = ways_in.orgs.authenticated(org, &headers)?;
    let cards = ways_in.received(&org, &headers, body).await?;
    // A task of its own, as a delivery has.
    let intake = ways_in.intake;
    let take = async move { intake.take_posted(&org, IngestSource::Workflows, cards).await };
    answered(tokio::spawn(take.in_current_span()).await, "NOT_A_CARD")
}
