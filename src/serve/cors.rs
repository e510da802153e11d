//! CORS: the response headers with which browsers let pages of the allowed origins read `/graphql`. Such pages send a token
//! in a header, never cookies.

use std::time::Duration;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::access::CLIENT_HEADERS;
use crate::auth::AllowedOrigins;

/// The time for which a browser may remember that it may send requests.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Adds CORS to the routes of `/graphql`, if pages of other origins are allowed. The caller has added admission before, so that its
/// refusals have the headers too, and a page can read why it was refused.
pub(super) fn with_cors(graphql: Router, allowed: &AllowedOrigins) -> Router {
    if allowed.is_empty() {
        return graphql;
    }
    let allowed = allowed.clone();
    let clients = CLIENT_HEADERS.into_iter().flat_map(|(name, version)| [name, version]).map(HeaderName::from_static);
    let headers = [AUTHORIZATION, CONTENT_TYPE, REQUEST_ID, LAST_EVENT_ID].into_iter().chain(clients);
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| allowed.contains(origin.as_bytes())))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers.collect::<Vec<_>>())
        .expose_headers([REQUEST_ID, RETRY_AFTER])
        .max_age(PREFLIGHT_AGE);
    graphql.layer(cors)
}
