//! What a gateway answers before its database can be used, and the change to all routes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use hyper_util::service::TowerToHyperService;
use serde_json::json;

use super::problem::Problem;
use super::status::{self, Watched};
use super::ways_in::{Org, Orgs, hook};
use super::{Status, graphiql, page, problem, request};
use crate::auth::{HookSecrets, Readers};

/// The routes that are served: those of a gateway that starts, and from [`open`](Self::open) on all of them. Clones are the
/// same.
#[derive(Clone)]
pub struct Routes {
    starting: TowerToHyperService<Router>,
    all: Arc<OnceLock<TowerToHyperService<Router>>>,
}

impl Routes {
    /// The routes of a gateway that starts: its status, the challenge of event hooks, its pages. Everything else is answered
    /// with 503, so that whoever came comes again.
    pub fn starting(status: Status, readers: Readers, hooks: BTreeMap<String, HookSecrets>) -> Self {
        let machines = Router::new()
            .route("/livez", get(status::livez))
            .route("/readyz", get(status::readyz))
            .route("/metrics", get(status::metrics))
            .with_state(Watched { status, readers });
        let ways_in = Router::new()
            .route("/okta/{org}/hooks", get(hook::challenge).post(later))
            .route("/okta/{org}/workflows", axum::routing::post(later))
            .route("/okta/{org}/import", axum::routing::post(later))
            .with_state(Orgs(Arc::new(hooks)));
        let router = Router::new()
            .route("/", get(page::page))
            .route("/graphiql", get(graphiql::page))
            .route("/graphiql/", get(graphiql::without_slash))
            .route("/graphiql/{file}", get(graphiql::file))
            .route("/graphql", any(not_yet))
            .merge(ways_in)
            .merge(machines)
            .fallback(any(problem::no_route))
            .method_not_allowed_fallback(problem::no_method)
            .layer(axum::middleware::from_fn(request::observe));
        Self { starting: TowerToHyperService::new(router), all: Arc::default() }
    }

    /// Serves all routes from now on.
    pub fn open(&self, router: Router) {
        // They are opened once.
        _ = self.all.set(TowerToHyperService::new(router));
    }

    /// The routes that are served now.
    pub(super) fn now(&self) -> &TowerToHyperService<Router> {
        self.all.get().unwrap_or(&self.starting)
    }
}

const STARTING: &str = "the gateway is starting: its database cannot be used yet; send it again";

/// A delivery that comes too early. Who may not deliver is told so.
async fn later(State(orgs): State<Orgs>, org: Org, headers: HeaderMap) -> Result<Response, Problem> {
    orgs.authenticated(org, &headers)?;
    metrics::counter!("sluice_starting_refused_total").increment(1);
    Err(Problem::unavailable(STARTING))
}

/// A question that comes too early, answered in the form of GraphQL over HTTP.
async fn not_yet() -> Response {
    metrics::counter!("sluice_starting_refused_total").increment(1);
    let body = json!({"errors": [{"message": STARTING, "extensions": {"code": "UNAVAILABLE"}}]});
    let headers = [(header::CONTENT_TYPE, "application/graphql-response+json"), (header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, body.to_string()).into_response()
}
