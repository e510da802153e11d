//! For machines: does it live, can it serve, how is it doing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;

use super::authorization;
use super::problem::Problem;
use crate::auth::Readers;

/// Tells whether the gateway can serve now: None, or what is missing.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// Prints the metrics in Prometheus's text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What machines may know of the gateway.
#[derive(Clone)]
pub struct Status {
    /// Whether it can serve.
    pub ready: Ready,
    /// Its metrics.
    pub metrics: RenderMetrics,
}

/// The status, and who may see more of it than that it is there.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) status: Status,
    pub(super) readers: Readers,
}

/// The process runs.
pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// It can answer, and take events in.
pub(super) async fn readyz(State(watched): State<Watched>) -> Response {
    match (watched.status.ready)().await {
        None => "ready\n".into_response(),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")).into_response(),
    }
}

/// Prometheus's text format. Its labels name orgs and routes: for readers, where there are some.
pub(super) async fn metrics(State(watched): State<Watched>, headers: HeaderMap) -> Result<Response, Problem> {
    authorization::viewer(&watched.readers, &headers)
        .map_err(|denied| Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", denied.to_string()))?;
    let text = (watched.status.metrics)();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
