//! HTTP: the routes by which events come in and answers go out.

mod accept;
mod admission;
mod authority;
mod authorization;
mod body;
mod forwarded;
mod graphiql;
mod graphql_http;
mod lingering;
mod listen;
mod operation_events;
mod origin;
mod page;
mod per_address;
mod problem;
mod request;
mod starting;
mod status;
mod stream;
mod subscribers;
mod ways_in;
mod websocket;
mod wire;

pub use listen::run;
pub use starting::ServedRoutes;
pub use status::{Ready, RenderMetrics, Status};
pub use subscribers::Subscribers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};

use crate::auth::{HookSecrets, Readers, TrustedProxies};
use crate::graphql::Graph;
use crate::ingest::Intake;

/// What everything that grows here is held to.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections for requests open at once; more wait.
    pub connections: usize,
    /// Connections for requests of one client's address; more are refused.
    pub connections_per_address: usize,
    /// Proxies that may say for whom they ask.
    pub trusted_proxies: TrustedProxies,
    /// Time limit for a request's head, and for the silence between two requests.
    pub head_timeout: Duration,
    /// Time limit for a request's body.
    pub body_timeout: Duration,
    /// WebSockets open at once; more are refused.
    pub sockets: usize,
    /// The same of one client's address.
    pub sockets_per_client: usize,
    /// Streams (SSE and multipart) open at once; more are refused.
    pub streams: usize,
    /// The same of one client's address.
    pub streams_per_client: usize,
    /// Operations at once on one WebSocket; more are refused.
    pub operations_per_socket: usize,
    /// How long a WebSocket has for `connection_init`.
    pub init_timeout: Duration,
    /// How long a WebSocket or a stream may take to accept what is sent.
    pub write_timeout: Duration,
    /// How often a WebSocket is pinged, and a quiet stream told that it lives.
    pub ping_interval: Duration,
    /// The time over which subscribers are sent away when the gateway stops.
    pub drain: Duration,
    /// Bytes of a GraphQL request's body, and of a WebSocket message.
    pub query_body_bytes: usize,
    /// GraphQL requests in one body; 0 is no batches.
    pub batch: usize,
    /// Bytes of a body on the ways in, unpacked.
    pub delivery_body_bytes: usize,
    /// Time limit of an event hook's delivery, from the end of its body to the answer.
    pub hook_patience: Duration,
}

/// The parts of the gateway that the routes lead to.
#[derive(Clone)]
pub struct Parts {
    /// The graph.
    pub graph: Graph,
    /// The door to the log.
    pub intake: Intake,
    /// Who may ask.
    pub readers: Readers,
    /// How what comes from each org proves itself.
    pub hooks: BTreeMap<String, HookSecrets>,
    /// What machines want to know of the gateway.
    pub status: Status,
}

/// All routes.
pub fn router(parts: Parts, options: &ServeOptions, subscribers: Subscribers) -> Router {
    let Parts { graph, intake, readers, hooks, status } = parts;
    let streams = stream::Streams {
        subscribers: subscribers.clone(),
        write_timeout: options.write_timeout,
        heartbeat_interval: options.ping_interval,
    };
    let hooks = Arc::new(hooks);
    let admission = admission::Admission::new(readers.clone(), Arc::clone(&hooks));
    let asking = graphql_http::Asking {
        graph: graph.clone(),
        readers: readers.clone(),
        batch: options.batch,
        body: body::BodyLimits { bytes: options.query_body_bytes, timeout: options.body_timeout },
        streams,
    };
    let options_of_sockets = Arc::new(options.clone());
    let socket = websocket::Context { graph, readers: readers.clone(), subscribers, options: options_of_sockets };
    let graphql = Router::new()
        .route("/graphql", post(graphql_http::post).get(graphql_http::get).with_state(asking))
        .layer(axum::middleware::from_fn_with_state(socket, websocket::upgrade));
    let ways_in = Router::new()
        .route("/okta/{org}/hooks", get(ways_in::hook::challenge).post(ways_in::hook::deliver))
        .route("/okta/{org}/log-stream", post(ways_in::log_stream::stream))
        .route("/okta/{org}/workflows", post(ways_in::workflows::relay))
        .route("/okta/{org}/import", post(ways_in::import::import))
        .with_state(ways_in::WaysIn {
            intake,
            orgs: ways_in::OrgSecrets(hooks),
            body: body::BodyLimits { bytes: options.delivery_body_bytes, timeout: options.body_timeout },
            hook_patience: options.hook_patience,
        });
    let machines = Router::new()
        .route("/livez", get(status::livez))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .with_state(status::Watched { status, readers });
    Router::new()
        .route("/", get(page::page))
        .route("/graphiql", get(graphiql::page))
        .route("/graphiql/", get(graphiql::without_slash))
        .route("/graphiql/{file}", get(graphiql::file))
        .merge(graphql)
        .merge(ways_in)
        .merge(machines)
        .fallback(any(problem::no_route))
        .method_not_allowed_fallback(problem::no_method)
        .layer(axum::middleware::from_fn_with_state(admission, request::observe))
}
