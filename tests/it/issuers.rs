//! Tokens of issuers: a custom authorization server gives them, and its claims decide what they show.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use okta_sim::{AuthorizationServer, IssuerBehaviour};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sluice::auth::{Issuers, Readers};
use sluice::config::Settings;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::database::TestDatabase;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};
use crate::socket::{Heard, Socket, handshake};
use crate::started_with::Place;

/// The audience of the gateway.
pub(crate) const AUDIENCE: &str = "api://sluice";

/// An instance with 3 of the gateway's 5 events.
const INSTANCE: &str = "mine";

/// A gateway that trusts an authorization server.
pub(crate) struct TrustingGateway {
    pub(crate) gateway: Gateway,
    pub(crate) issuer: AuthorizationServer,
}

pub(crate) async fn issuer() -> AuthorizationServer {
    AuthorizationServer::start(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()
}

impl TrustingGateway {
    pub(crate) async fn start() -> Self {
        let issuer = issuer().await;
        Self { gateway: start(&issuer).await, issuer }
    }

    /// Asks with a token for the applications' instances of all events, and gives the status and the answer.
    pub(crate) async fn ask(&self, token: &str) -> (StatusCode, Value) {
        ask(&self.gateway, token).await
    }

    /// Returns a token with these claims, which is for the gateway.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let mut all = json!({"aud": AUDIENCE, "sub": "00u1", "scp": ["sluice.events"]});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.issuer.token(&all).unwrap()
    }

    pub(crate) async fn assert_refused(&self, token: &str, reason: &str) {
        let (status, answer) = self.ask(token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{answer}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{reason}: {message}");
    }
}

/// Returns settings with an issuer.
fn settings_of(issuer: &AuthorizationServer, more: &str) -> Settings {
    settings_at(&issuer.url(), more)
}

/// Returns settings with an issuer of this name.
pub(crate) fn settings_at(url: &str, more: &str) -> Settings {
    let file = format!(
        r#"
        [[orgs]]
        name = "acme"
        hook_secrets = ["literal:the hook's secret"]
        [[issuers]]
        name = "okta"
        url = "{url}"
        audience = "{AUDIENCE}"
        {more}
        [[issuers.rules]]
        claim = "scp"
        has = "sluice.events"
        scopes = ["events:read"]
        [[issuers.rules]]
        claim = "groups"
        has = "owners"
        scopes = ["events:read", "people:read"]
        see = [ {{ org = "acme", instances = "claim:instances" }} ]
        "#
    );
    Place::new(file).read(&|_| None)
}

/// Starts a gateway with the settings of an issuer, and with events of several instances.
async fn start(issuer: &AuthorizationServer) -> Gateway {
    let database = TestDatabase::new().await;
    let mut with_issuer = settings(&database);
    with_issuer.issuers = settings_of(issuer, "").issuers;
    let gateway = Gateway::start_over(database, with_issuer).await;
    gateway.deliver(&sync_events(INSTANCE, 3)).await;
    gateway.deliver(&sync_events("other", 2)).await;
    gateway
}

async fn ask(gateway: &Gateway, token: &str) -> (StatusCode, Value) {
    let query = json!({"query": "{ syncEvents { nodes { uuid applicationInstance { instanceId } } } viewer { name kind expiresAt } }"});
    let request = gateway.client.post(gateway.url("/graphql")).bearer_auth(token).json(&query);
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_claims_of_a_token_decide_what_it_shows() {
    let trusting = TrustingGateway::start().await;
    let (status, answer) = trusting.ask(&trusting.token(&json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["data"]["syncEvents"]["nodes"].as_array().unwrap().len(), 5, "{answer}");
    assert_eq!(answer["data"]["viewer"]["name"], "00u1");
    assert_eq!(answer["data"]["viewer"]["kind"], "TOKEN");
    assert!(answer["data"]["viewer"]["expiresAt"].is_string(), "{answer}");

    for (instances, seen) in [(json!(["0oamine"]), 3), (json!(["0oaforeign"]), 0), (json!(null), 0)] {
        let token = trusting.token(&json!({"scp": null, "groups": ["owners"], "instances": instances}));
        let (status, answer) = trusting.ask(&token).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let nodes = answer["data"]["syncEvents"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), seen, "{answer}");
        assert!(nodes.iter().all(|node| node["applicationInstance"]["instanceId"] == "0oamine"), "{answer}");
    }

    let (status, answer) = trusting.ask(&trusting.token(&json!({"scp": ["other"]}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NO_RIGHTS", "{answer}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("issuers.okta.rules"), "{answer}");
}

/// Each mistake of an operator gets a sentence that names the setting.
#[tokio::test]
async fn each_mistake_is_named() {
    let trusting = TrustingGateway::start().await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let foreign = issuer().await;
    let opaque = "00Aa1bB2cC3dD4eE5fF6gG7hH8iI9jJ0kK1lL2mM3n";
    trusting.assert_refused(opaque, "custom authorization server").await;
    for (claims, reason) in [
        (json!({"aud": "api://default"}), "issuers.okta.audience is \"api://sluice\""),
        (json!({"aud": []}), "issuers.okta.audience"),
        (json!({"aud": null}), "\"aud\" is missing"),
        (json!({"exp": now - 3600, "iat": now - 7200}), "it expired at"),
        (json!({"exp": null}), "\"exp\" is missing"),
        (json!({"nbf": now + 3600}), "issuers.okta.leeway_seconds"),
        (json!({"exp": now + 400_000}), "issuers.okta.max_token_seconds"),
        (json!({"iat": now + 600}), "it was issued at"),
        (json!({"iat": now + 600}), "this machine's clock says"),
        (json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), "bound to a key of its client"),
        (json!({"iss": foreign.url()}), "is configured (issuers.url)"),
        (json!({"iss": 1}), "\"iss\""),
        (json!({"iss": [trusting.issuer.url()]}), "\"iss\""),
    ] {
        trusting.assert_refused(&trusting.token(&claims), reason).await;
    }
    // A clock that is a little off does not matter.
    let (status, answer) = trusting.ask(&trusting.token(&json!({"nbf": now + 20, "iat": now + 20}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// Forged tokens are refused, whatever their header says.
#[tokio::test]
async fn forged_tokens_are_refused() {
    let trusting = TrustingGateway::start().await;
    let foreign = issuer().await;
    let good = trusting.token(&json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let claims = json!({"iss": trusting.issuer.url(), "aud": AUDIENCE, "sub": "00u1", "scp": ["sluice.events"]});
    let header = |kid: &str| Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    let mut with_key_url = header("key-0");
    with_key_url.jku = Some(format!("{}/v1/keys", foreign.url()));
    let mut critical = header("key-0");
    critical.crit = Some(vec!["exp".to_owned()]);
    let others = json!({"iss": trusting.issuer.url(), "aud": AUDIENCE, "sub": "00u2", "scp": ["sluice.events"]});
    let changed = foreign.token(&others).unwrap().split('.').nth(1).unwrap().to_owned();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let forged = [
        ("a foreign key under a known id", foreign.sign(&header("key-0"), &claims).unwrap()),
        ("a foreign key, with its address", foreign.sign(&with_key_url, &claims).unwrap()),
        ("an unknown key", trusting.issuer.sign(&header("key-9"), &claims).unwrap()),
        ("a path as the key's id", trusting.issuer.sign(&header("../key-0"), &claims).unwrap()),
        ("critical extensions", trusting.issuer.sign(&critical, &claims).unwrap()),
        ("a shared secret", {
            let header = Header { kid: Some("key-0".to_owned()), ..Header::new(Algorithm::HS256) };
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(b"key-0")).unwrap()
        }),
        ("changed claims", format!("{}.{changed}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("the algorithm none", format!("{none}.{}.", parts[1])),
        ("the algorithm none, with a signature", format!("{none}.{}.{}", parts[1], parts[2])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("five parts", format!("{good}.{}.{}", parts[1], parts[2])),
        ("nothing but letters", "a".repeat(8_000)),
        ("dots", "..".to_owned()),
    ];
    for (name, token) in forged {
        let (status, answer) = trusting.ask(&token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {answer}");
    }
    assert_eq!(trusting.ask(&good).await.0, StatusCode::OK);
}

/// A new key is fetched when a token has it; a removed one verifies no longer, and invented ones cost one fetch in 30 s.
#[tokio::test]
async fn keys_rotate_and_invented_ones_cost_little() {
    let trusting = TrustingGateway::start().await;
    let old = trusting.token(&json!({}));
    assert_eq!(trusting.ask(&old).await.0, StatusCode::OK);
    trusting.issuer.rotate(false).unwrap();
    let fetches = trusting.issuer.fetches();
    let new = trusting.token(&json!({}));
    assert_eq!(trusting.ask(&new).await.0, StatusCode::OK);
    trusting.assert_refused(&old, "a key that the issuer does not have").await;
    let claims = json!({"aud": AUDIENCE});
    for number in 0..300 {
        let header = Header { kid: Some(format!("invented-{number}")), ..Header::new(Algorithm::ES256) };
        let token = trusting.issuer.sign(&header, &claims).unwrap();
        assert_eq!(trusting.ask(&token).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(trusting.issuer.fetches(), fetches + 1);
    assert_eq!(trusting.ask(&new).await.0, StatusCode::OK);
}

/// An issuer's known keys go on while it is away. A token with another key may be right, so its client must not throw it away,
/// and hears so within the time of a fetch.
#[tokio::test]
async fn an_issuer_that_is_away_refuses_nobody_who_is_known() {
    for behaviour in [
        IssuerBehaviour::Status(500),
        IssuerBehaviour::Redirect,
        IssuerBehaviour::Large,
        IssuerBehaviour::Slow(Duration::from_mins(1)),
        IssuerBehaviour::OtherIssuer,
    ] {
        let trusting = TrustingGateway::start().await;
        let known = trusting.token(&json!({}));
        assert_eq!(trusting.ask(&known).await.0, StatusCode::OK);
        trusting.issuer.behave(behaviour);
        trusting.issuer.rotate(true).unwrap();
        let started = Instant::now();
        let (status, answer) = trusting.ask(&trusting.token(&json!({}))).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{behaviour:?}: {answer}");
        assert!(started.elapsed() < Duration::from_secs(10), "{behaviour:?}: {:?}", started.elapsed());
        assert_eq!(trusting.ask(&known).await.0, StatusCode::OK, "{behaviour:?}");

        // A gateway without keys knows even less.
        let unready = start(&trusting.issuer).await;
        let (status, answer) = ask(&unready, &known).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{behaviour:?}: {answer}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("the gateway's log has the reason"), "{behaviour:?}: {message}");
    }
}

/// A socket is told why its token is refused, since a browser cannot read the response to a handshake.
#[tokio::test]
async fn a_socket_is_told_the_reason() {
    let trusting = TrustingGateway::start().await;
    for (claims, expected) in [(json!({"scp": []}), 4403), (json!({"aud": "other"}), 4403)] {
        let token = trusting.token(&claims);
        let request = handshake(trusting.gateway.address, "graphql-transport-ws");
        let mut socket = Socket::connect(request).await.unwrap();
        let payload = json!({"authorization": format!("Bearer {token}")});
        socket.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.hear().await, Heard::Closed(Some(expected)));
    }
}

impl TrustingGateway {
    /// Opens a socket with a token, and gives the acknowledgement.
    pub(crate) async fn socket(&self, token: &str) -> (Socket, Value) {
        let mut socket = Socket::connect(handshake(self.gateway.address, "graphql-transport-ws")).await.unwrap();
        let payload = json!({"authorization": format!("Bearer {token}")});
        socket.send(json!({"type": "connection_init", "payload": payload})).await;
        let acknowledged = socket.message().await;
        assert_eq!(acknowledged["type"], "connection_ack", "{acknowledged}");
        (socket, acknowledged)
    }

    /// Returns a token that is accepted for some seconds.
    fn short_token(&self, seconds: i64) -> String {
        // The default leeway of 30 s comes on top.
        let exp = OffsetDateTime::now_utc().unix_timestamp() + seconds - 30;
        self.token(&json!({ "exp": exp }))
    }
}

const SUBSCRIPTION: &str = "subscription { syncEvents { events { uuid } position } }";

#[tokio::test]
async fn a_socket_ends_with_its_token() {
    let trusting = TrustingGateway::start().await;
    let (mut socket, acknowledged) = trusting.socket(&trusting.short_token(4)).await;
    assert_eq!(acknowledged["payload"]["name"], "00u1");
    assert!(acknowledged["payload"]["expiresAt"].is_string(), "{acknowledged}");
    socket.subscribe("1", SUBSCRIPTION, json!({})).await;
    let started = Instant::now();
    assert_eq!(socket.batch("1").await["events"], json!([]));
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_tells_why() {
    let trusting = TrustingGateway::start().await;
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let token = trusting.short_token(3);
        // The connection ends with the stream, so each has a client of its own.
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(trusting.gateway.url("/graphql")).bearer_auth(token);
        let request = request.header("accept", accept).json(&json!({ "query": SUBSCRIPTION }));
        // The body ends only with the stream.
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains("TOKEN_EXPIRED") && text.contains("\"position\""), "{accept}: {text}");
    }
}

#[tokio::test]
async fn a_ping_with_a_new_token_moves_the_end() {
    let trusting = TrustingGateway::start().await;
    let (mut socket, _) = trusting.socket(&trusting.short_token(6)).await;
    socket.subscribed("1", SUBSCRIPTION, json!({})).await;
    let ping = |token: &str| json!({"type": "ping", "payload": {"authorization": format!("Bearer {token}")}});
    let fresh = trusting.token(&json!({}));
    socket.send(ping(&fresh)).await;
    let answered = socket.message().await;
    assert_eq!(answered["type"], "pong", "{answered}");
    assert!(answered["payload"]["expiresAt"].is_string() && !answered.to_string().contains(&fresh), "{answered}");
    socket.send(ping("nobody's")).await;
    assert_eq!(socket.message().await["payload"]["code"], "UNAUTHENTICATED");
    assert!(socket.hears_nothing(Duration::from_secs(7)).await, "the old end has passed");
    trusting.gateway.deliver(&sync_events(INSTANCE, 1)).await;
    assert_eq!(socket.batch("1").await["events"].as_array().unwrap().len(), 1);
    socket.send(ping(&trusting.token(&json!({"scp": null, "groups": ["owners"]})))).await;
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
}

/// A reader that the settings no longer have is cut off at once, and so are the tokens of an issuer with other rules.
#[tokio::test]
async fn what_the_settings_revoke_ends_at_once() {
    let issuer = issuer().await;
    let database = TestDatabase::new().await;
    let reader = |token: &str| Readers::new(vec![("dashboard".to_owned(), token.into())]);
    let mut shared = settings(&database);
    shared.issuers = settings_of(&issuer, "").issuers;
    shared.readers = reader("the-dashboard's-token");
    let trusting = TrustingGateway { gateway: Gateway::start_over(database, shared.clone()).await, issuer };
    let (mut with_token, _) = trusting.socket(&trusting.token(&json!({}))).await;
    let (mut of_reader, _) = trusting.socket("the-dashboard's-token").await;
    let (mut fresh, same) = (shared.clone(), shared.readers.clone());
    fresh.readers = reader("the-dashboard's-token");
    fresh.issuers = settings_of(&trusting.issuer, "").issuers;
    assert_eq!(shared.adopt(&fresh).changed, [""; 0]);
    assert!(with_token.hears_nothing(Duration::from_millis(300)).await && same.number() == 1);
    fresh.readers = reader("another-token-of-it");
    fresh.issuers = settings_of(&trusting.issuer, "max_token_seconds = 7200").issuers;
    let changed = ["reader dashboard has another token", "issuer okta has other settings"];
    assert_eq!(shared.adopt(&fresh).changed, changed);
    assert_eq!(of_reader.hear().await, Heard::Closed(Some(4403)));
    assert_eq!(with_token.hear().await, Heard::Closed(Some(4403)));
    assert_eq!(trusting.ask(&trusting.token(&json!({}))).await.0, StatusCode::OK);
    // A gateway that required tokens goes on to do so, also if nobody is left.
    let (fresh_readers, fresh_issuers) = (Readers::default(), Issuers::default());
    (fresh.readers, fresh.issuers) = (fresh_readers, fresh_issuers);
    let reloaded = shared.adopt(&fresh);
    assert!(reloaded.needs_restart[0].contains("none are left"), "{reloaded:?}");
    assert_eq!(trusting.ask("anybody").await.0, StatusCode::UNAUTHORIZED);
}

/// A subscriber without a token is cut off as soon as the gateway requires one.
#[tokio::test]
async fn a_gateway_that_is_closed_cuts_off_who_came_without_a_token() {
    let database = TestDatabase::new().await;
    let shared = settings(&database);
    let gateway = Gateway::start_over(database, shared.clone()).await;
    let mut socket = gateway.socket().await;
    socket.subscribed("1", SUBSCRIPTION, json!({})).await;
    let closed = Readers::new(vec![("dashboard".to_owned(), "the-dashboard's-token".into())]);
    assert_eq!(shared.adopt(&Settings { readers: closed, ..shared.clone() }).changed, ["reader dashboard was added"]);
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    assert_eq!(ask(&gateway, "anybody").await.0, StatusCode::UNAUTHORIZED);
}
