//! Limits of connections for each address, and the clients whose addresses trusted proxies report.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sluice::auth::{ClientHeader, Readers, TrustedProxies};
use sluice::config::Settings;
use tokio_tungstenite::tungstenite;

use crate::events::{delivery, sync_event};
use crate::gateway::{Gateway, HOOK_SECRET};
use crate::raw_http::RawHttp;
use crate::socket::{Heard, Socket, handshake};

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A client whose connections come from an address of this machine.
fn client_at(address: Ipv4Addr) -> Client {
    Client::builder().no_proxy().local_address(IpAddr::V4(address)).build().unwrap()
}

fn trust_localhost(settings: &mut Settings, header: ClientHeader) {
    settings.trusted_proxies = TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()], header);
}

/// Probes, hooks and queries are answered to a client.
async fn assert_served(gateway: &Gateway, client: &Client) {
    for path in ["/livez", "/readyz", "/"] {
        assert_eq!(client.get(gateway.url(path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let hook = client.post(gateway.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
    let delivered = hook.body(delivery(&[sync_event("one")]).to_string()).send().await.unwrap();
    assert_eq!(delivered.status(), StatusCode::OK);
    let query = client.post(gateway.url("/graphql")).json(&json!({"query": "{ __typename }"}));
    assert_eq!(query.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_opens_every_connection_and_says_nothing_keeps_nobody_out() {
    const ALL: usize = 40;
    let gateway = Gateway::start_with(|settings| settings.limits.connections = ALL).await;
    let mut open = Vec::new();
    for _ in 0..ALL {
        open.push(RawHttp::connect_from(OTHER, gateway.address).await);
    }
    assert_served(&gateway, &client_at(Ipv4Addr::LOCALHOST)).await;
    // The gateway refuses connections beyond a quarter with the reason.
    let answer = open[ALL - 1].answer().await;
    assert_eq!(answer.status, 429, "{answer:?}");
    for part in ["TOO_MANY_CONNECTIONS", "127.0.0.2", "10 open connections", "limits.connections_per_address"] {
        assert!(answer.body.contains(part), "{answer:?}");
    }
    assert!(answer.head.contains("retry-after: 1\r\n") && answer.head.contains("connection: close\r\n"), "{answer:?}");
    open[ALL - 1].closed().await;
    assert!(gateway.has_metric("sluice_connections_refused_total").await);
    // And those within it are served.
    open[0].send(format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address)).await;
    assert_eq!(open[0].answer().await.status, 200);
    drop(open);
    let client = client_at(OTHER);
    while !client.get(gateway.url("/livez")).send().await.is_ok_and(|answer| answer.status() == StatusCode::OK) {
        tokio::task::yield_now().await;
    }
    assert_served(&gateway, &client).await;
}

#[tokio::test]
async fn a_connection_on_which_no_request_comes_is_closed() {
    let gateway = Gateway::start_with(|settings| settings.limits.head_seconds = 1).await;
    let mut open = Vec::new();
    // Silent connections: without a byte; with a part of HTTP/2's preface; with HTTP/2 but no request; with a head that
    // never ends.
    for said in
        ["", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /livez HTTP/1.1\r\n", "POST /graphql HTTP/1.1\r\nx: "]
    {
        let mut connection = RawHttp::connect(gateway.address).await;
        connection.send(said).await;
        open.push(connection);
    }
    for connection in &mut open {
        connection.closed().await;
    }
    assert!(gateway.has_metric("sluice_connections_cut_total{reason=\"silent\"}").await);
}

impl Gateway {
    /// Posts a request's head, of whose body something is still to come: it is under way. Admission is over when the
    /// gateway asks for the body.
    async fn request_under_way(&self, more: &str) -> RawHttp {
        let mut connection = RawHttp::connect(self.address).await;
        connection
            .send(format!(
                "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
                 content-length: 100\r\n{more}\r\n",
                self.address
            ))
            .await;
        assert_eq!(connection.answer().await.status, 100);
        connection
    }

    fn ping(&self, header: &'static str, value: &str) -> RequestBuilder {
        self.client.get(self.url("/livez")).header(header, value)
    }
}

#[tokio::test]
async fn a_trusted_proxys_requests_count_for_the_address_that_it_names() {
    let gateway = Gateway::start_with(|settings| {
        trust_localhost(settings, ClientHeader::XForwardedFor);
        settings.limits.connections_per_address = Some(2);
    })
    .await;
    let status = async |value: &str| gateway.ping("x-forwarded-for", value).send().await.unwrap().status().as_u16();
    for (one, same, other) in
        [("192.0.2.7", "9.9.9.9, 192.0.2.7", "192.0.2.8"), ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    {
        let head = format!("x-forwarded-for: {one}\r\n");
        let under_way = [gateway.request_under_way(&head).await, gateway.request_under_way(&head).await];
        let refused = gateway.ping("x-forwarded-for", same).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "1");
        let answer: Value = refused.json().await.unwrap();
        assert_eq!(answer["error"]["code"], "TOO_MANY_CONNECTIONS", "{answer}");
        assert_eq!(status(other).await, 200);
        drop(under_way);
        while status(same).await != 200 {
            tokio::task::yield_now().await;
        }
    }
    // The proxy's own connections are not counted.
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(RawHttp::connect(gateway.address).await);
    }
    assert_eq!(status("192.0.2.9").await, 200);
}

#[tokio::test]
async fn only_the_header_that_is_configured_is_believed() {
    let gateway = Gateway::start_with(|settings| {
        trust_localhost(settings, ClientHeader::Forwarded);
        settings.limits.connections_per_address = Some(1);
    })
    .await;
    let _under_way = gateway.request_under_way("forwarded: for=192.0.2.7\r\nx-forwarded-for: 192.0.2.8\r\n").await;
    for (header, value, status) in [
        ("forwarded", "for=\"192.0.2.7:4711\"", 429),
        ("forwarded", "for=192.0.2.8", 200),
        ("x-forwarded-for", "192.0.2.7", 200),
    ] {
        assert_eq!(gateway.ping(header, value).send().await.unwrap().status().as_u16(), status, "{header}: {value}");
    }
}

#[tokio::test]
async fn who_is_not_trusted_speaks_for_nobody() {
    let gateway = Gateway::start_with(|settings| {
        trust_localhost(settings, ClientHeader::XForwardedFor);
        settings.limits.sockets_per_client = 1;
    })
    .await;
    let open = async |source: Ipv4Addr, named: &str| {
        let mut connection = RawHttp::connect_from(source, gateway.address).await;
        let head = format!(
            "GET /graphql HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\
             x-forwarded-for: {named}\r\n\r\n",
            gateway.address
        );
        connection.send(head).await;
        let status = connection.answer().await.status;
        (connection, status)
    };
    let trusted = [open(Ipv4Addr::LOCALHOST, "192.0.2.7").await, open(Ipv4Addr::LOCALHOST, "192.0.2.8").await];
    assert_eq!(trusted.each_ref().map(|(_, status)| *status), [101, 101]);
    assert_eq!(open(Ipv4Addr::LOCALHOST, "192.0.2.7").await.1, 429);
    let other = open(OTHER, "192.0.2.9").await;
    assert_eq!(other.1, 101);
    assert_eq!(open(OTHER, "192.0.2.10").await.1, 429, "the same address, whatever it says");
    let answer = gateway.client.get(gateway.url("/livez")).header("origin", "https://sluice.example");
    let named = answer.try_clone().unwrap().header("x-forwarded-host", "sluice.example");
    assert_eq!(answer.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(named.send().await.unwrap().status(), StatusCode::FORBIDDEN, "without readers, by no foreign name");
}

#[tokio::test]
async fn a_trusted_proxy_says_which_host_was_asked() {
    let gateway = Gateway::start_with(|settings| {
        trust_localhost(settings, ClientHeader::XForwardedFor);
        settings.readers = Readers::new(vec![("dashboard".to_owned(), "the token".into())]);
    })
    .await;
    let asked = |client: &Client| {
        let asked = client.get(gateway.url("/livez")).header("origin", "https://sluice.example");
        asked.header("x-forwarded-host", "sluice.example").send()
    };
    assert_eq!(asked(&gateway.client).await.unwrap().status(), StatusCode::OK);
    assert_eq!(asked(&client_at(OTHER)).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_socket_of_which_it_is_not_known_who_asks_is_a_connection_of_its_address() {
    let gateway = Gateway::start_with(|settings| {
        settings.readers = Readers::new(vec![("dashboard".to_owned(), "the token".into())]);
        // One more is open, on which the gateway was asked whether it is ready.
        settings.limits.connections_per_address = Some(3);
        settings.limits.connection_init_seconds = 60;
    })
    .await;
    let connect = async || Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await;
    let (mut first, _second) = (connect().await.unwrap(), connect().await);
    let Err(tungstenite::Error::Http(refused)) = connect().await else { panic!("a third socket is refused") };
    assert_eq!(refused.status().as_u16(), 429);
    first.send(json!({"type": "connection_init", "payload": {"authorization": "Bearer the token"}})).await;
    assert_eq!(first.hear().await, Heard::Message(json!({"type": "connection_ack"})));
    connect().await.unwrap();
}
