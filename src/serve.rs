//! HTTP: the routes for events, GraphQL and status.

mod accept;
mod access;
mod admission;
mod authority;
mod authorization;
mod body;
mod client;
mod cors;
mod forwarded;
mod graphiql;
mod graphql_http;
mod lingering;
mod listen;
mod operation_events;
mod options;
mod origin;
mod page;
mod per_address;
mod problem;
mod request;
mod security_headers;
mod session_cookie;
mod sign_in;
mod starting;
mod status;
mod stream;
mod subscribers;
mod ways_in;
mod websocket;
mod wire;

#[cfg(any(test, fuzzing))]
pub(crate) use websocket::fuzzing;

pub use listen::run;
pub use options::ServeOptions;
pub use starting::ServedRoutes;
pub use status::{Ready, RenderMetrics, Status};
pub use subscribers::Subscribers;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};

use crate::auth::{Authenticator, HookSecrets};
use crate::graphql::Graph;
use crate::ingest::Intake;

/// The parts of the gateway that the routes use.
#[derive(Clone)]
pub struct GatewayParts {
    /// The GraphQL schema and its execution.
    pub graph: Graph,
    /// The intake for events.
    pub intake: Intake,
    /// The authenticator of clients that query and subscribe.
    pub authenticator: Authenticator,
    /// The hook secrets of each org.
    pub hooks: BTreeMap<String, HookSecrets>,
    /// The readiness and the metrics.
    pub status: Status,
}

/// Creates all routes.
pub fn router(parts: GatewayParts, options: &ServeOptions, subscribers: Subscribers) -> Router {
    let GatewayParts { graph, intake, authenticator, hooks, status } = parts;
    let streams = stream::Streams {
        subscribers: subscribers.clone(),
        write_timeout: options.write_timeout,
        heartbeat_interval: options.ping_interval,
    };
    let hooks = Arc::new(hooks);
    let allowed_origins = options.allowed_origins.clone();
    let admission = admission::Admission::new(authenticator.clone(), Arc::clone(&hooks), allowed_origins.clone());
    let graphql_state = graphql_http::GraphqlState {
        graph: graph.clone(),
        authenticator: authenticator.clone(),
        batch: options.batch,
        body: body::BodyLimits { bytes: options.query_body_bytes, timeout: options.body_timeout },
        streams,
    };
    let socket_options = Arc::new(options.clone());
    let socket =
        websocket::SocketContext { graph, authenticator: authenticator.clone(), subscribers, options: socket_options };
    let graphql = Router::new()
        .route("/graphql", post(graphql_http::post).get(graphql_http::get).with_state(graphql_state))
        .layer(axum::middleware::from_fn_with_state(socket, websocket::upgrade));
    let graphql = cors::with_cors(observed(graphql, &admission), &allowed_origins);
    let ingestion = Router::new()
        .route("/okta/{org}/hooks", get(ways_in::hook::challenge).post(ways_in::hook::deliver))
        .route("/okta/{org}/log-stream", post(ways_in::log_stream::stream))
        .route("/okta/{org}/workflows", post(ways_in::workflows::relay))
        .route("/okta/{org}/import", post(ways_in::import::import))
        .with_state(ways_in::IngestState {
            intake,
            orgs: ways_in::OrgSecrets(hooks),
            authenticator: authenticator.clone(),
            body: body::BodyLimits { bytes: options.delivery_body_bytes, timeout: options.body_timeout },
            hook_patience: options.hook_patience,
        });
    let sign_in = Router::new()
        .route("/auth/login", get(sign_in::login))
        .route("/auth/callback", get(sign_in::callback))
        .route("/auth/session", get(sign_in::session))
        .route("/auth/logout", post(sign_in::logout))
        .route("/auth/backchannel-logout", post(sign_in::backchannel_logout))
        .with_state(sign_in::SignInState::new(&authenticator, options.body_timeout));
    let monitoring = Router::new()
        .route("/livez", get(status::livez))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .with_state(status::StatusState { status, authenticator });
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/graphiql", get(graphiql::page))
        .route("/graphiql/", get(graphiql::without_slash))
        .route("/graphiql/{file}", get(graphiql::file))
        .merge(sign_in)
        .merge(ingestion)
        .merge(monitoring)
        .fallback(any(problem::no_route));
    observed(routes, &admission).merge(graphql)
}

/// Adds to routes what every request goes through: admission, log and metrics.
fn observed(routes: Router, admission: &admission::Admission) -> Router {
    routes
        .method_not_allowed_fallback(problem::no_method)
        .layer(axum::middleware::from_fn_with_state(admission.clone(), request::observe))
}
