//! The routes for monitoring: liveness, readiness and metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;

use super::access::{self, RequestSender};
use super::authorization;
use super::problem::Problem;
use crate::auth::Authenticator;
use crate::event::Scope;

/// A function that checks readiness: None if the gateway is ready, otherwise the reason.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// A function that renders the metrics in Prometheus's text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The functions behind the routes for monitoring.
#[derive(Clone)]
pub struct Status {
    /// Checks readiness.
    pub ready: Ready,
    /// Renders the metrics.
    pub metrics: RenderMetrics,
}

/// The state of the routes for monitoring.
#[derive(Clone)]
pub(super) struct StatusState {
    pub(super) status: Status,
    pub(super) authenticator: Authenticator,
}

/// Responds while the process runs.
pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// Responds with 200 if the gateway can answer queries and take in events.
pub(super) async fn readyz(State(state): State<StatusState>) -> Response {
    match (state.status.ready)().await {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

/// Responds with the metrics. Their labels name orgs and routes, so they need the token of a reader with the scope `metrics`
/// if readers are configured.
pub(super) async fn metrics(
    State(state): State<StatusState>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Problem> {
    let sender = RequestSender::of(&extensions, &headers);
    let viewer = authorization::viewer(&state.authenticator, &headers).await;
    let viewer =
        viewer.inspect_err(|denied| access::denied(&sender, denied)).map_err(|denied| Problem::denied(&denied))?;
    let allowed = viewer.require(Scope::Metrics).map_err(Problem::forbidden);
    allowed.inspect_err(|problem| access::refused(&sender, Some(&viewer), problem.code()))?;
    let text = (state.status.metrics)();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
