//! The promises that async-graphql-axum does not keep, shown with real requests: sluice speaks GraphQL over HTTP and
//! WebSocket by itself. A test that fails here means that the crate was mended, and may be used for that part.

use std::net::SocketAddr;

use async_graphql::futures_util::stream::{self, Stream, StreamExt as _};
use async_graphql::{Object, Schema, Subscription};
use async_graphql_axum::{GraphQL, GraphQLBatchRequest, GraphQLRequest, GraphQLResponse, GraphQLSubscription};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get_service, post, post_service};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::socket::{Heard, Socket, handshake};

type Stand = Schema<Query, Mutation, Events>;

struct Query;

struct Mutation;

struct Events;

#[Object]
impl Query {
    async fn one(&self) -> i32 {
        1
    }
}

#[Object]
impl Mutation {
    async fn change(&self) -> i32 {
        1
    }
}

#[Subscription]
impl Events {
    /// A number, after which nothing comes where `ends` is false.
    async fn number(&self, number: i32, #[graphql(default = true)] ends: bool) -> impl Stream<Item = i32> {
        let first = stream::iter([number]);
        if ends { first.boxed() } else { first.chain(stream::pending()).boxed() }
    }
}

/// Starts a server that is made of the crate's parts alone.
async fn serve() -> SocketAddr {
    let schema = Schema::new(Query, Mutation, Events);
    let read = |request: GraphQLRequest| async move { request.into_inner().query };
    let read_batch = |request: GraphQLBatchRequest| async move { request.into_inner().iter().count().to_string() };
    let executor: Stand = schema.clone();
    let respond =
        async move |request: GraphQLRequest| GraphQLResponse::from(executor.execute(request.into_inner()).await);
    let routes = Router::new()
        .route("/read", post(read).get(read))
        .route("/read-batch", post(read_batch))
        .route("/respond", post(respond))
        .route("/service", post_service(GraphQL::new(schema.clone())).get_service(GraphQL::new(schema.clone())))
        .route("/graphql", get_service(GraphQLSubscription::new(schema)))
        .layer(DefaultBodyLimit::max(1 << 10));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

/// Posts a text with a content type and an `accept`.
async fn post_text(address: SocketAddr, path: &str, types: [&str; 2], text: impl Into<String>) -> Response {
    let request = Client::new().post(format!("http://{address}{path}"));
    request.header("content-type", types[0]).header("accept", types[1]).body(text.into()).send().await.unwrap()
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

const JSON: [&str; 2] = ["application/json", "application/json"];

/// sluice answers 415 to other content types, 413 to bodies and batches that are too large, and 400 to a parameter
/// that is there twice.
#[tokio::test]
async fn the_extractors_read_whatever_comes() {
    let address = serve().await;
    // A page of another site may post plain text without asking, so it must not be read as a request.
    let plain = post_text(address, "/read", ["text/plain", "*/*"], r#"{"query": "{ one }"}"#).await;
    assert_eq!((plain.status().as_u16(), plain.text().await.unwrap()), (200, "{ one }".to_owned()));
    let encoded = Client::new().post(format!("http://{address}/read")).header("content-encoding", "gzip");
    assert_eq!(encoded.body(r#"{"query": "{ one }"}"#).send().await.unwrap().status(), 200);
    let large = json!({"query": format!("{{ one }} #{}", " ".repeat(1 << 20))}).to_string();
    assert_eq!(post_text(address, "/read", JSON, large).await.status(), 200, "axum's own limit is passed over");
    let batch = Value::from(vec![json!({"query": "{ one }"}); 1_000]);
    assert_eq!(post_text(address, "/read-batch", JSON, batch.to_string()).await.text().await.unwrap(), "1000");
    let by_id = post_text(address, "/read", JSON, r#"{"documentId": "a"}"#).await;
    assert_eq!((by_id.status().as_u16(), by_id.text().await.unwrap()), (200, String::new()), "the id is lost");
    // What is wrong with a request is told by no error with a code, but by a type of Rust.
    let broken = post_text(address, "/read", JSON, "{").await;
    assert_eq!((broken.status().as_u16(), header(&broken, "content-type")), (400, None));
    assert!(broken.text().await.unwrap().starts_with("InvalidRequest("));
}

/// sluice answers with the type that `accept` prefers, with 400 to a document that is not valid, and lets nobody store
/// an answer.
#[tokio::test]
async fn the_response_has_one_type_and_one_status() {
    let address = serve().await;
    for accepted in ["application/json", "application/graphql-response+json"] {
        let invalid = post_text(address, "/respond", [JSON[0], accepted], r#"{"query": "{ nothing }"}"#).await;
        assert_eq!(header(&invalid, "content-type").as_deref(), Some("application/graphql-response+json"));
        assert_eq!((invalid.status().as_u16(), header(&invalid, "cache-control")), (200, None));
        let answer: Value = invalid.json().await.unwrap();
        assert_eq!(answer["data"], Value::Null);
        assert!(answer.as_object().unwrap().contains_key("data"), "an answer without execution has no data");
    }
}

/// sluice answers 405 to a mutation by GET, 406 where `accept` allows nothing that it has, streams server-sent events,
/// and puts each answer of a multipart stream into `payload`.
#[tokio::test]
async fn the_service_neither_negotiates_nor_streams_as_the_specifications_say() {
    let address = serve().await;
    let get = |accept: &'static str, query: &'static str| {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let request = Client::new().get(format!("http://{address}/service?query={query}"));
        async move { request.header("accept", accept).send().await.unwrap() }
    };
    let changed: Value = get("*/*", "mutation { change }").await.json().await.unwrap();
    assert_eq!(changed, json!({"data": {"change": 1}}), "a link can change something");
    assert_eq!(get("image/png", "{ one }").await.status(), 200);
    for stream in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let answer = get(stream, "subscription { number(number: 1) }").await;
        assert_eq!(header(&answer, "content-type").as_deref(), Some("application/graphql-response+json"), "{stream}");
    }
    let accept = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0";
    let parts = get(accept, "subscription { number(number: 1) }").await;
    assert_eq!(header(&parts, "content-type").as_deref(), Some("multipart/mixed; boundary=graphql"));
    let parts = parts.text().await.unwrap();
    assert!(parts.contains(r#"{"data":{"number":1}}"#) && !parts.contains("payload"), "{parts}");
}

/// sluice closes with the codes of graphql-transport-ws: 4406, 4401, 4400 and 4409.
#[tokio::test]
async fn the_websocket_ends_with_other_codes_than_the_protocol_has() {
    let address = serve().await;
    let connect = || Socket::connect(handshake(address, "graphql-transport-ws"));
    let refused = Socket::connect(handshake(address, "unknown")).await;
    assert!(refused.is_err(), "a client sees no code, but a handshake that failed");

    let mut early = connect().await.unwrap();
    early.subscribe("1", "subscription { number(number: 1) }", json!({})).await;
    assert_eq!(early.hear().await, Heard::Closed(Some(1011)));

    let mut wrong = connect().await.unwrap();
    wrong.send(json!({"type": "unknown"})).await;
    assert_eq!(wrong.hear().await, Heard::Closed(None), "the reason is longer than a close frame may be");

    let mut twice = Socket::open(address).await;
    for number in [1, 2] {
        let query = format!("subscription {{ number(number: {number}, ends: false) }}");
        twice.subscribe("1", &query, json!({})).await;
        let told = twice.message().await;
        assert_eq!(told["payload"]["data"]["number"], number, "the second operation takes the id of the first one");
    }
    let mut invalid = Socket::open(address).await;
    invalid.subscribe("1", "subscription { nothing }", json!({})).await;
    assert_eq!(invalid.message().await["type"], "next", "an operation that cannot start is told by `error`");
}

/// sluice speaks the sub-protocol that the handshake has answered.
#[tokio::test]
async fn the_websocket_may_speak_another_protocol_than_it_has_agreed_to() {
    let address = serve().await;
    let request = handshake(address, "graphql-ws, graphql-transport-ws");
    let (stream, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
    let mut socket = Socket::over(stream);
    socket.send(json!({"type": "connection_init"})).await;
    assert_eq!(socket.message().await, json!({"type": "connection_ack"}));
    socket.subscribe("1", "subscription { number(number: 1) }", json!({})).await;
    assert_eq!(socket.message().await["type"], "data", "a message of the older protocol");
}
