//! The middleware of every request: request id, log span, metrics and admission.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::admission::Admission;
use super::security_headers;
use crate::access_log;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The maximum length of a request id from a client or proxy.
const LONGEST_ID: usize = 128;

/// Handles a request: sets or keeps its id, admits it, and records its result in log and metrics.
pub(super) async fn observe(State(admission): State<Admission>, mut request: Request, next: Next) -> Response {
    let usable = |id: &&HeaderValue| (1..=LONGEST_ID).contains(&id.len()) && id.to_str().is_ok();
    let given = request.headers().get(&REQUEST_ID).filter(usable).cloned();
    let id = given.or_else(|| HeaderValue::try_from(Uuid::now_v7().to_string()).ok());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = span(id.as_ref().and_then(|id| id.to_str().ok()), &method, &route);
    let started = Instant::now();
    let is_https = admission.is_https();
    let mut response = async {
        let response = match admission.admit(&mut request) {
            Ok(held) => {
                let response = next.run(request).await;
                drop(held);
                response
            }
            Err(refused) => refused.respond(&request),
        };
        let status = response.status().as_u16();
        // A probe's 503 is expected; the cause is logged where it is detected.
        if response.status().is_server_error() && route != "/readyz" {
            tracing::warn!(status, "answered");
        } else {
            tracing::debug!(status, "answered");
        }
        response
    }
    .instrument(span)
    .await;
    let status = response.status().as_str().to_owned();
    let counted = metrics::counter!("sluice_http_requests_total", "route" => route.clone(), "method" => method_label(&method), "status" => status);
    counted.increment(1);
    metrics::histogram!("sluice_http_request_seconds", "route" => route).record(started.elapsed());
    security_headers::add(response.headers_mut(), is_https);
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Creates the span of a request, which log lines about the request have. If `RUST_LOG` leaves it out, the access log has it
/// alone: its records need the request's id.
fn span(id: Option<&str>, method: &Method, route: &str) -> Span {
    let span = tracing::info_span!("request", id, %method, route);
    if span.is_disabled() && access_log::is_on() {
        return tracing::info_span!(target: access_log::TARGET, "request", id, %method, route);
    }
    span
}

/// Returns the method as a label of metrics. Unknown methods share one label, since clients may invent any number.
fn method_label(method: &Method) -> &'static str {
    static KNOWN: [Method; 7] =
        [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::PUT, Method::PATCH, Method::DELETE];
    KNOWN.iter().find(|known| *known == method).map_or("other", Method::as_str)
}
