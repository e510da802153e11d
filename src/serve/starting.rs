//! The routes of a starting gateway, and the switch to all routes once its database can be used.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use hyper_util::service::TowerToHyperService;

use super::admission::Admission;
use super::cors::with_cors;
use super::problem::Problem;
use super::status::{self, StatusState};
use super::ways_in::{OrgPath, OrgSecrets, hook};
use super::{Status, graphiql, observed, page, problem};
use crate::auth::{AllowedOrigins, Authenticator, HookSecrets};
use crate::graphql::Answer;

/// The routes that a gateway serves: a few during its start, and all after [`open`](Self::open). Clones share the
/// state.
#[derive(Clone)]
pub struct ServedRoutes {
    starting: TowerToHyperService<Router>,
    all: Arc<OnceLock<TowerToHyperService<Router>>>,
}

impl ServedRoutes {
    /// Creates the routes of a starting gateway: status, metrics, the challenge of event hooks, and pages. Deliveries
    /// and GraphQL requests get 503, so that their senders retry.
    pub fn starting(
        status: Status,
        authenticator: Authenticator,
        hooks: BTreeMap<String, HookSecrets>,
        allowed_origins: &AllowedOrigins,
    ) -> Self {
        let hooks = Arc::new(hooks);
        let admission = Admission::new(authenticator.clone(), Arc::clone(&hooks), allowed_origins.clone());
        let monitoring = Router::new()
            .route("/livez", get(status::livez))
            .route("/readyz", get(status::readyz))
            .route("/metrics", get(status::metrics))
            .with_state(StatusState { status, authenticator });
        let ingestion = Router::new()
            .route("/okta/{org}/hooks", get(hook::challenge).post(later))
            .route("/okta/{org}/log-stream", axum::routing::post(later))
            .route("/okta/{org}/workflows", axum::routing::post(later))
            .route("/okta/{org}/import", axum::routing::post(later))
            .with_state(OrgSecrets(hooks));
        let routes = Router::new()
            .route("/", get(page::page))
            .route("/graphiql", get(graphiql::page))
            .route("/graphiql/", get(graphiql::without_slash))
            .route("/graphiql/{file}", get(graphiql::file))
            .route("/auth/{action}", any(not_yet_for_people))
            .merge(ingestion)
            .merge(monitoring)
            .fallback(any(problem::no_route));
        let graphql = Router::new().route("/graphql", any(not_yet));
        let routes = observed(routes, &admission).merge(with_cors(observed(graphql, &admission), allowed_origins));
        Self { starting: TowerToHyperService::new(routes), all: Arc::default() }
    }

    /// Switches to all routes.
    pub fn open(&self, router: Router) {
        // A second call changes nothing.
        _ = self.all.set(TowerToHyperService::new(router));
    }

    /// Returns the routes for the next request.
    pub(super) fn now(&self) -> &TowerToHyperService<Router> {
        self.all.get().unwrap_or(&self.starting)
    }
}

const STARTING: &str = "the gateway is starting and its database cannot be used yet; send the request again";

/// Responds to a delivery before the database can be used: 503, or 401 without the org's secret.
async fn later(State(orgs): State<OrgSecrets>, org: OrgPath, headers: HeaderMap) -> Result<Response, Problem> {
    orgs.authenticated(org, &headers)?;
    metrics::counter!("sluice_starting_refused_total").increment(1);
    Err(Problem::unavailable(STARTING))
}

/// Responds to a person who wants to sign in or out before the database can be used.
async fn not_yet_for_people() -> Problem {
    Problem::unavailable(STARTING)
}

/// Responds to a GraphQL request before the database can be used: 503 with a GraphQL error.
async fn not_yet() -> Response {
    metrics::counter!("sluice_starting_refused_total").increment(1);
    let body = Answer::refusal("UNAVAILABLE", STARTING).json.into_bytes();
    let headers = [(header::CONTENT_TYPE, "application/graphql-response+json"), (header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response()
}
