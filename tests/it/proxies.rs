//! The recipes of `docs/proxies.md`: all protocols go through nginx and Caddy, and clients keep their addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sluice::auth::{ClientHeader, Readers, TrustedProxies};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::events::{delivery, sync_event, uuid};
use crate::gateway::{Gateway, HOOK_SECRET};
use crate::reverse_proxy::{NAME, Program, ReverseProxy, recipe, replaced};

const TOKEN: &str = "the reader's token";
const BEARER: &str = "Bearer the reader's token";

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway with a proxy in front of it that it trusts.
struct Behind {
    gateway: Gateway,
    proxy: ReverseProxy,
}

impl Behind {
    async fn start(program: Program, recipe: &str, change: impl FnOnce(&mut sluice::config::Settings)) -> Self {
        let gateway = Gateway::start_with(|settings| {
            settings.readers = Readers::new(vec![("front end".to_owned(), TOKEN.into())]);
            settings.trusted_proxies =
                TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()], ClientHeader::XForwardedFor);
            change(settings);
        })
        .await;
        let proxy = ReverseProxy::start(program, recipe, gateway.address);
        Self { gateway, proxy }
    }

    /// The host by which the proxy is asked.
    fn host(&self) -> String {
        format!("{NAME}:{}", self.proxy.address.port())
    }

    /// A client that asks the proxy, from an address of this machine.
    fn client(&self, source: Ipv4Addr) -> Client {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.proxy.address.port()));
        Client::builder().no_proxy().local_address(IpAddr::V4(source)).resolve(NAME, address).build().unwrap()
    }

    /// A POST of a request as a browser's page at the proxy's host sends it.
    fn asking(&self, client: &Client, query: &str) -> RequestBuilder {
        let request = client.post(format!("http://{}/graphql", self.host())).json(&json!({"query": query}));
        request.header("authorization", BEARER).header("origin", format!("http://{}", self.host()))
    }

    /// Delivers an event through the proxy; gives its uuid.
    async fn deliver(&self, client: &Client) -> String {
        let event = sync_event("one");
        let hook = client.post(format!("http://{}/okta/acme/hooks", self.host())).header("authorization", HOOK_SECRET);
        let delivered = hook.body(delivery(std::slice::from_ref(&event)).to_string()).send().await.unwrap();
        assert_eq!(delivered.status(), StatusCode::OK);
        uuid(&event).to_owned()
    }

    /// Opens a WebSocket through the proxy.
    async fn socket(&self, source: Ipv4Addr) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
        let mut request = format!("ws://{}/graphql", self.host()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        request.headers_mut().insert("origin", format!("http://{}", self.host()).parse().unwrap());
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Ok(client_async(request, socket.connect(self.proxy.address).await.unwrap()).await?.0)
    }
}

/// Reads a response until a text has come; what came before it is gone.
async fn read_until(response: &mut reqwest::Response, read: &mut String, wanted: &str) {
    while !read.contains(wanted) {
        let chunk = timeout(PATIENCE, response.chunk()).await.expect("something comes in time").unwrap();
        read.push_str(std::str::from_utf8(&chunk.expect("the stream goes on")).unwrap());
    }
    read.clear();
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        let heard = timeout(PATIENCE, futures_util::StreamExt::next(socket)).await.expect("something comes in time");
        let Message::Text(text) = heard.unwrap().unwrap() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["type"] != "ping" {
            return message;
        }
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, message: Value) {
    futures_util::SinkExt::send(socket, Message::text(message.to_string())).await.unwrap();
}

const LIVE: &str = "subscription { syncEvents { events { uuid } } }";
const FROM_THE_START: &str = "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }";

async fn every_protocol_goes_through(program: Program) {
    let behind = Behind::start(program, &recipe(program), |_| ()).await;
    let client = behind.client(Ipv4Addr::LOCALHOST);
    let mut socket = behind.socket(Ipv4Addr::LOCALHOST).await.unwrap();
    say(&mut socket, json!({"type": "connection_init", "payload": {"authorization": BEARER}})).await;
    assert_eq!(hear(&mut socket).await["type"], "connection_ack");
    say(&mut socket, json!({"type": "subscribe", "id": "1", "payload": {"query": FROM_THE_START}})).await;
    let streams = ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"].map(|accept| {
        let request = behind.asking(&client, LIVE).header("accept", accept);
        async move {
            let mut response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let mut read = String::new();
            // The first payload: the subscription waits from here on.
            read_until(&mut response, &mut read, "[]").await;
            response
        }
    });
    let mut streams = futures_util::future::join_all(streams).await;
    for _ in 0..3 {
        // Each event is there before the next one is delivered: nothing waits in a buffer.
        let uuid = behind.deliver(&client).await;
        let event = loop {
            // The first payload has no events.
            let payload = &hear(&mut socket).await["payload"]["data"]["syncEvents"];
            if let Some(event) = payload["events"].get(0) {
                break event.clone();
            }
        };
        assert_eq!(event["uuid"], uuid.as_str());
        for stream in &mut streams {
            read_until(stream, &mut String::new(), &uuid).await;
        }
        let newest = behind.asking(&client, "{ syncEvents(first: 1) { nodes { uuid } } }").send().await.unwrap();
        let newest: Value = newest.json().await.unwrap();
        assert!(newest.pointer("/data/syncEvents/nodes/0/uuid").is_some(), "{newest}");
    }
    // Larger than what nginx takes by itself.
    let import = client.post(format!("http://{}/okta/acme/import", behind.host())).header("authorization", HOOK_SECRET);
    let events = (0..2_000).map(|_| sync_event("many").to_string() + "\n").collect::<String>();
    assert!(events.len() > 1 << 20, "{}", events.len());
    assert_eq!(import.body(events).send().await.unwrap().status(), StatusCode::OK);
    let foreign = behind.asking(&client, "{ __typename }");
    let foreign =
        foreign.headers([(reqwest::header::ORIGIN, "https://evil.example".parse().unwrap())].into_iter().collect());
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

async fn clients_keep_their_addresses(program: Program) {
    let behind = Behind::start(program, &recipe(program), |settings| settings.limits.sockets_per_client = 1).await;
    let (one, other) = (Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 4));
    let _first = behind.socket(one).await.unwrap();
    let Err(tungstenite::Error::Http(refused)) = behind.socket(one).await else { panic!("a second one is refused") };
    assert_eq!(refused.status().as_u16(), 429);
    let _second = behind.socket(other).await.unwrap();
    // The gateway does not believe an address that the client itself puts into the header.
    let client = behind.client(one);
    let named = client.get(format!("http://{}/graphql", behind.host())).header("x-forwarded-for", "192.0.2.9");
    let handshake = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "graphql-transport-ws"),
    ];
    let named = handshake.iter().fold(named, |named, (name, value)| named.header(*name, *value));
    assert_eq!(named.send().await.unwrap().status().as_u16(), 429);
    assert!(behind.gateway.socket_refused(429).await.is_none(), "the proxy's own address has its own place");
}

impl Gateway {
    /// The refusal of a WebSocket that comes straight to the gateway, where it has this status.
    async fn socket_refused(&self, status: u16) -> Option<u16> {
        let request = crate::socket::handshake(self.address, "graphql-transport-ws");
        match crate::socket::Socket::connect(request).await {
            Err(tungstenite::Error::Http(refused)) => Some(refused.status().as_u16()).filter(|found| *found == status),
            _ => None,
        }
    }
}

#[tokio::test]
async fn every_protocol_goes_through_nginx() {
    every_protocol_goes_through(Program::Nginx).await;
}

#[tokio::test]
async fn every_protocol_goes_through_caddy() {
    every_protocol_goes_through(Program::Caddy).await;
}

#[tokio::test]
async fn clients_keep_their_addresses_behind_nginx() {
    clients_keep_their_addresses(Program::Nginx).await;
}

#[tokio::test]
async fn clients_keep_their_addresses_behind_caddy() {
    clients_keep_their_addresses(Program::Caddy).await;
}

#[tokio::test]
async fn what_a_recipe_leaves_out_is_named() {
    let nginx = recipe(Program::Nginx);
    let without = |line: &str| replaced(&nginx, line, "");
    let without_host = Behind::start(Program::Nginx, &without("proxy_set_header Host $http_host;"), |_| ()).await;
    let client = without_host.client(Ipv4Addr::LOCALHOST);
    let refused = without_host.asking(&client, "{ __typename }").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let text = refused.text().await.unwrap();
    // nginx puts the name of its group of servers there.
    for part in ["FOREIGN_ORIGIN", &without_host.host(), "the host sluice", "docs/proxies.md"] {
        assert!(text.contains(part), "{text}");
    }
    for line in ["proxy_set_header Upgrade $http_upgrade;", "proxy_http_version 1.1;"] {
        let cut_short = Behind::start(Program::Nginx, &without(line), |_| ()).await;
        let Err(tungstenite::Error::Http(refused)) = cut_short.socket(Ipv4Addr::LOCALHOST).await else {
            panic!("without {line} there is no WebSocket");
        };
        assert_eq!(refused.status().as_u16(), 426, "{line}");
    }
}
