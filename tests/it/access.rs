//! Who may ask, where readers are configured; and from which pages.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sluice::auth::Readers;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::Request;

use crate::events::{delivery, sync_events};
use crate::gateway::{Gateway, HOOK_SECRET};
use crate::socket::{Heard, Socket, handshake};

const TOKEN: &str = "the-dashboard's-token";
const OTHER_TOKEN: &str = "the-auditor's-token";
const BEARER: &str = "Bearer the-dashboard's-token";

/// Values of an `Authorization` header that nobody has.
const WRONG: [&str; 7] = [
    "",
    "Bearer",
    "Bearer the-dashboard's-toke",
    "Bearer the-dashboard's-token the-auditor's-token",
    "the-dashboard's-token",
    "Basic the-dashboard's-token",
    HOOK_SECRET,
];

async fn start() -> Gateway {
    let readers = [("dashboard", TOKEN), ("auditor", OTHER_TOKEN)];
    let readers = readers.map(|(name, token)| (name.to_owned(), token.into())).to_vec();
    Gateway::start_with(|settings| settings.readers = Readers::new(readers)).await
}

fn assert_no_secret_in(text: &str) {
    assert!(![TOKEN, OTHER_TOKEN, HOOK_SECRET].iter().any(|secret| text.contains(secret)), "{text}");
}

/// The request is refused for want of a token, and nothing secret is told.
async fn assert_refused(request: RequestBuilder, case: &str) {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{case}");
    assert_eq!(response.headers()["www-authenticate"], "Bearer", "{case}");
    let text = response.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let code = answer.pointer("/errors/0/extensions/code").or_else(|| answer.pointer("/error/code"));
    assert_eq!(code, Some(&json!("UNAUTHENTICATED")), "{case}: {text}");
    assert!(answer.get("data").is_none(), "{case}: {text}");
    assert_no_secret_in(&text);
}

#[tokio::test]
async fn asking_over_http_needs_a_readers_token() {
    let gateway = start().await;
    let asked = "{ ingestion { head } }";
    let requests: [(&str, &dyn Fn() -> RequestBuilder); 4] = [
        ("POST", &|| gateway.client.post(gateway.url("/graphql")).json(&json!({"query": asked}))),
        ("GET", &|| gateway.client.get(gateway.url("/graphql?query=%7Bingestion%7Bhead%7D%7D"))),
        ("GET of nothing", &|| gateway.client.get(gateway.url("/graphql"))),
        ("POST of no JSON", &|| gateway.client.post(gateway.url("/graphql")).body("{")),
    ];
    for (name, request) in requests {
        assert_refused(request(), name).await;
        assert_refused(request().header("accept", "application/graphql-response+json"), name).await;
        for wrong in WRONG {
            assert_refused(request().header("authorization", wrong), &format!("{name}: {wrong:?}")).await;
        }
    }
    for (name, request) in &requests[..2] {
        for right in [BEARER, "bearer  the-auditor's-token"] {
            let response = request().header("authorization", right).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            assert_eq!(
                response.json::<Value>().await.unwrap(),
                json!({"data": {"ingestion": {"head": "0"}}}),
                "{name}"
            );
        }
    }
}

/// A handshake's request with one more header.
fn handshake_with(gateway: &Gateway, header: Option<(&'static str, &str)>) -> Request<()> {
    let mut request = handshake(gateway.address, "graphql-transport-ws");
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// What a socket hears after `connection_init`.
async fn greeted(gateway: &Gateway, authorization: Option<&str>, payload: Option<Value>) -> (Socket, Heard) {
    let request = handshake_with(gateway, authorization.map(|value| ("authorization", value)));
    let mut socket = Socket::connect(request).await.unwrap();
    let mut init = json!({"type": "connection_init"});
    if let Some(payload) = payload {
        init["payload"] = payload;
    }
    socket.send(init).await;
    let heard = socket.hear().await;
    (socket, heard)
}

#[tokio::test]
async fn a_socket_is_opened_by_a_token_in_its_header_or_its_first_message() {
    let gateway = start().await;
    let payload = |value: &str| Some(json!({"authorization": value}));
    let cases = [
        (Some(BEARER), None),
        (Some(BEARER), Some(json!({"theme": "dark"}))),
        (None, payload(BEARER)),
        (None, Some(json!({"Authorization": "Bearer the-auditor's-token", "theme": "dark"}))),
        (Some("Bearer wrong"), payload(BEARER)),
    ];
    for (authorization, payload) in cases {
        let case = format!("{authorization:?} {payload:?}");
        let (mut socket, heard) = greeted(&gateway, authorization, payload).await;
        assert_eq!(heard, Heard::Message(json!({"type": "connection_ack"})), "{case}");
        socket.subscribe("1", "{ ingestion { head } }", json!({})).await;
        let answer = socket.message().await;
        assert_eq!(answer["payload"], json!({"data": {"ingestion": {"head": "0"}}}), "{case}");
    }
}

#[tokio::test]
async fn a_socket_without_a_readers_token_is_closed() {
    let gateway = start().await;
    let payloads = WRONG.map(|wrong| Some(json!({"authorization": wrong})));
    let odd = [json!({}), json!({"authorization": null}), json!({"authorization": [BEARER]}), json!({"token": TOKEN})];
    for payload in std::iter::once(None).chain(payloads).chain(odd.map(Some)) {
        let (_, heard) = greeted(&gateway, None, payload.clone()).await;
        assert_eq!(heard, Heard::Closed(Some(4403)), "{payload:?}");
    }
    for wrong in WRONG {
        let (_, heard) = greeted(&gateway, Some(wrong), None).await;
        assert_eq!(heard, Heard::Closed(Some(4403)), "{wrong:?}");
    }
    let (_, heard) = greeted(&gateway, Some(BEARER), Some(json!({"authorization": "Bearer wrong"}))).await;
    assert_eq!(heard, Heard::Closed(Some(4403)), "what is said last counts");
    let mut hasty = Socket::connect(handshake_with(&gateway, None)).await.unwrap();
    hasty.subscribe("1", "{ ingestion { head } }", json!({})).await;
    assert_eq!(hasty.hear().await, Heard::Closed(Some(4401)), "asked before it was let in");
}

#[tokio::test]
async fn metrics_are_for_readers_and_probes_for_everybody() {
    let gateway = start().await;
    let get = |path: &str| gateway.client.get(gateway.url(path));
    assert_refused(get("/metrics"), "no token").await;
    for wrong in WRONG {
        assert_refused(get("/metrics").header("authorization", wrong), wrong).await;
    }
    let response = get("/metrics").header("authorization", BEARER).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_no_secret_in(&response.text().await.unwrap());
    for path in ["/livez", "/readyz", "/"] {
        let response = get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_no_secret_in(&response.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_readers_token_opens_no_hook() {
    let gateway = start().await;
    for value in [TOKEN, BEARER] {
        let body = delivery(&sync_events("one", 1)).to_string();
        let request = gateway.client.post(gateway.url("/okta/acme/hooks")).header("authorization", value).body(body);
        assert_refused(request, value).await;
    }
    assert_eq!(gateway.deliver(&sync_events("one", 1)).await["stored"], 1, "the hook's own secret does");
}

#[tokio::test]
async fn only_pages_of_the_gateway_itself_open_sockets() {
    let gateway = start().await;
    let own = format!("http://{}", gateway.address);
    let port = gateway.address.port();
    let origins = [None, Some(own.clone()), Some(format!("https://{}", gateway.address))];
    for origin in origins {
        let request = handshake_with(&gateway, origin.as_deref().map(|origin| ("origin", origin)));
        let mut socket = Socket::connect(request).await.unwrap();
        socket.send(json!({"type": "connection_init", "payload": {"authorization": BEARER}})).await;
        assert_eq!(socket.message().await, json!({"type": "connection_ack"}), "{origin:?}");
    }
    let foreign = [
        "https://evil.example".to_owned(),
        format!("http://localhost:{port}"),
        format!("http://127.0.0.1:{}", port ^ 1),
        format!("{own}.evil.example"),
        "http://127.0.0.1".to_owned(),
        "null".to_owned(),
        String::new(),
    ];
    for origin in foreign {
        let mut request = handshake_with(&gateway, Some(("origin", &origin)));
        request.headers_mut().insert("authorization", BEARER.parse().unwrap());
        let Err(tungstenite::Error::Http(response)) = Socket::connect(request).await else {
            panic!("{origin:?} was let in")
        };
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin:?}");
        let text = String::from_utf8(response.into_body().unwrap_or_default()).unwrap();
        assert!(text.contains("FOREIGN_ORIGIN"), "{origin:?}: {text}");
        assert_no_secret_in(&text);
    }
}
