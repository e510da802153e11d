//! The people and machines that the access log names: the holders of API keys and tokens, and those who are refused.

use std::process::Stdio;

use okta_sim::SignInBehaviour;
use reqwest::header::COOKIE;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use crate::access_log::{Watched, facts, records};
use crate::browser::PUBLIC_URL;
use crate::issuers::AUDIENCE;
use crate::sign_in::issuer;
use crate::socket::{Heard, Socket, handshake};

/// The fields of a record that name the sender of a request, and the one with its result.
const SENDER: [&str; 4] = ["reader", "credential", "issuer", "verdict"];

const FOLLOW: &str = "subscription Events { syncEvents { events { uuid } position } }";

/// Runs `sluice keys` on the database of a gateway, and returns its output.
async fn keys(watched: &Watched, words: &[&str]) -> String {
    let mut command = watched.process.command_of(&[&["keys"], words].concat());
    let output = command.stdout(Stdio::piped()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Asks a gateway with a token, and returns the status.
async fn ask(watched: &Watched, token: &str) -> StatusCode {
    watched.post(token, &json!({"query": "query Me { viewer { name } }"})).send().await.unwrap().status()
}

/// Subscribes with a token, over a WebSocket.
async fn follow(watched: &Watched, token: &str) -> Socket {
    let mut socket = Socket::connect(handshake(watched.process.address, "graphql-transport-ws")).await.unwrap();
    let init = json!({"authorization": format!("Bearer {token}")});
    socket.send(json!({"type": "connection_init", "payload": init})).await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    socket.subscribed("1", FOLLOW, json!({})).await;
    socket
}

#[tokio::test]
async fn records_name_the_holders_of_api_keys_and_tokens() {
    let issuer = issuer().await;
    let watched = Watched::start(&issuer).await;
    let key = keys(&watched, &["add", "--name", "nightly"]).await;
    let token = |group: &str| {
        let claims = json!({"aud": AUDIENCE, "sub": "00u7", "email": "grace@acme.example", "groups": [group]});
        issuer.token(&claims).unwrap()
    };
    let (good, powerless) = (token("owners"), token("guests"));
    let mut of_key = None;
    for token in [&key, &good] {
        assert_eq!(ask(&watched, token).await, StatusCode::OK);
        let socket = follow(&watched, token).await;
        of_key.get_or_insert(socket);
    }
    assert_eq!(ask(&watched, &powerless).await, StatusCode::FORBIDDEN);
    let [(signed, signature), (_, other_signature)] = [&good, &powerless].map(|token| token.rsplit_once('.').unwrap());
    let (start, secret) = key.rsplit_once('_').unwrap();
    let altered: String = secret.chars().rev().collect();
    for unproven in [format!("{signed}.{other_signature}"), format!("{start}_{altered}")] {
        assert_eq!(ask(&watched, &unproven).await, StatusCode::UNAUTHORIZED);
    }
    keys(&watched, &["revoke", "nightly"]).await;
    assert_eq!(of_key.unwrap().hear().await, Heard::Closed(Some(4403)), "the key is revoked");
    assert_eq!(ask(&watched, &key).await, StatusCode::UNAUTHORIZED);

    let output = watched.stop().await;
    for hidden in [secret, &altered, signature, other_signature, "grace@"] {
        assert!(!output.contains(hidden), "{hidden} is logged: {output}");
    }
    let records = records(&output);
    let (by_key, by_token) = (json!(["nightly", "api_key", null, "ok"]), json!(["00u7", "token", "okta", "ok"]));
    for message in ["graph.read", "graph.follow.started"] {
        assert_eq!(facts(&records, message, &SENDER), [by_key.clone(), by_token.clone()], "{message}");
    }
    let ended = facts(&records, "graph.follow.ended", &SENDER);
    assert!(ended.contains(&json!(["nightly", "api_key", null, "REVOKED"])), "{ended:?}");
    assert_eq!(
        facts(&records, "request.denied", &SENDER),
        [
            json!(["00u7", "token", "okta", "NO_RIGHTS"]),
            json!([null, "token", null, "UNAUTHENTICATED"]),
            json!([null, "api_key", null, "UNAUTHENTICATED"]),
            json!(["nightly", "api_key", null, "UNAUTHENTICATED"]),
        ]
    );
}

/// The secrets among the parameters of a path: the state of a sign-in, and the issuer's code.
fn parameters(path: &str) -> Vec<String> {
    let url = Url::parse(PUBLIC_URL).unwrap().join(path).unwrap();
    let secret = |name: &str| ["state", "code"].contains(&name);
    url.query_pairs().filter(|(name, _)| secret(name)).map(|(_, value)| value.into_owned()).collect()
}

#[tokio::test]
async fn every_sign_in_that_fails_has_a_record() {
    let issuer = issuer().await;
    let watched = Watched::start(&issuer).await;
    let mut secrets = Vec::new();
    let mut come_back = async |status: StatusCode| {
        let (back, cookie) = watched.begin_sign_in().await;
        let answer = watched.open(&back).header(COOKIE, &cookie).send().await.unwrap();
        assert_eq!(answer.status(), status);
        secrets.extend(parameters(&back));
        secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    };
    issuer.behave_at_sign_in(SignInBehaviour::State);
    come_back(StatusCode::BAD_REQUEST).await;
    issuer.behave_at_sign_in(SignInBehaviour::Refusal);
    come_back(StatusCode::BAD_REQUEST).await;
    issuer.behave_at_sign_in(SignInBehaviour::Nonce);
    come_back(StatusCode::BAD_GATEWAY).await;
    issuer.behave_at_sign_in(SignInBehaviour::Correct);
    issuer.let_in(json!({"name": "Grace Hopper", "groups": ["guests"]}));
    come_back(StatusCode::FORBIDDEN).await;
    // Four sign-ins have begun. An unknown issuer counts as well, and costs no row.
    let begin = async |path: &str| watched.open(path).send().await.unwrap().status();
    for _ in 0..996 {
        assert_eq!(begin("/auth/login?issuer=nobody").await, StatusCode::NOT_FOUND);
    }
    assert_eq!(begin("/auth/login").await, StatusCode::TOO_MANY_REQUESTS);

    let output = watched.stop().await;
    secrets.push("Grace Hopper".to_owned());
    for secret in &secrets {
        assert!(!output.contains(secret.as_str()), "{secret} is logged: {output}");
    }
    let records = records(&output);
    let unauthenticated = |issuer: Value| json!([null, "session", issuer, "UNAUTHENTICATED"]);
    assert_eq!(
        facts(&records, "auth.sign_in", &SENDER),
        [
            unauthenticated(json!(null)),
            unauthenticated(json!("okta")),
            unauthenticated(json!("okta")),
            json!(["00u1", "session", "okta", "NO_RIGHTS"]),
            json!([null, "session", null, "TOO_MANY_SIGN_INS"]),
        ]
    );
    assert!(records.iter().all(|one| one["address"] == "127.0.0.1"), "{records:?}");
}
