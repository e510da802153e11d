//! Tokens that a gateway must not take for what they are not: made for something else, of another issuer, of nobody.

use jsonwebtoken::{Algorithm, Header};
use okta_sim::IssuerBehaviour;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::gateway::{Gateway, settings};
use crate::issuers::{AUDIENCE, TrustingGateway, issuer, settings_at};
use crate::socket::{Heard, Socket, handshake};

/// A token of another type was made for something else, also if its audience fits.
#[tokio::test]
async fn only_access_tokens_are_accepted() {
    let trusting = TrustingGateway::start().await;
    let claims = json!({"aud": AUDIENCE, "sub": "00u1", "scp": "other sluice.events"});
    for (typ, is_accepted) in [
        (None, true),
        (Some("JWT"), true),
        (Some("jwt"), true),
        (Some("at+jwt"), true),
        (Some("application/at+jwt"), true),
        (Some("logout+jwt"), false),
        (Some("secevent+jwt"), false),
        (Some("dpop+jwt"), false),
        (Some(""), false),
    ] {
        let typ_of_header = typ.map(str::to_owned);
        let header = Header { kid: Some("key-0".to_owned()), typ: typ_of_header, ..Header::new(Algorithm::ES256) };
        let token = trusting.issuer.sign(&header, &claims).unwrap();
        if is_accepted {
            let (status, answer) = trusting.ask(&token).await;
            assert_eq!(status, StatusCode::OK, "{typ:?}: {answer}");
        } else {
            trusting.assert_refused(&token, &format!("its type (typ) is {:?}", typ.unwrap())).await;
        }
    }
    let token = trusting.token(&json!({}));
    let request =
        trusting.gateway.client.post(trusting.gateway.url("/graphql")).json(&json!({"query": "{ __typename }"}));
    let twice = request.bearer_auth(&token).header("authorization", "Bearer other").send().await.unwrap();
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    assert!(twice.text().await.unwrap().contains("several authorization headers"));
}

/// The name of an issuer is the one in its metadata and tokens, with or without a slash at the end.
#[tokio::test]
async fn an_issuers_name_is_compared_to_the_letter() {
    for (behaviour, slash, is_accepted) in [
        (IssuerBehaviour::Correct, "", true),
        (IssuerBehaviour::Correct, "/", false),
        (IssuerBehaviour::EndsInSlash, "", false),
        (IssuerBehaviour::EndsInSlash, "/", true),
    ] {
        let issuer = issuer().await;
        issuer.behave(behaviour);
        let database = TestDatabase::new().await;
        let mut with_issuer = settings(&database);
        with_issuer.issuers = settings_at(&format!("{}{slash}", issuer.url()), "").issuers;
        let trusting = TrustingGateway { gateway: Gateway::start_over(database, with_issuer).await, issuer };
        let (status, answer) = trusting.ask(&trusting.token(&json!({}))).await;
        assert_eq!(status == StatusCode::OK, is_accepted, "{behaviour:?} {slash:?}: {answer}");
        let as_configured = trusting.token(&json!({"iss": format!("{}{slash}", trusting.issuer.url())}));
        let (status, answer) = trusting.ask(&as_configured).await;
        let expected = if is_accepted { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(status, expected, "the keys are of an issuer with another name: {answer}");
    }
}

/// Two tokens without a subject may be of two people, so one does not renew the other.
#[tokio::test]
async fn a_token_that_names_nobody_renews_no_other() {
    let trusting = TrustingGateway::start().await;
    let nobody = trusting.token(&json!({"sub": null}));
    let (status, answer) = trusting.ask(&nobody).await;
    assert_eq!((status, &answer["data"]["viewer"]["name"]), (StatusCode::OK, &json!(null)), "{answer}");
    let (mut socket, acknowledged) = trusting.socket(&nobody).await;
    assert_eq!(acknowledged["payload"]["name"], json!(null), "{acknowledged}");
    socket.send(json!({"type": "ping", "payload": {"authorization": format!("Bearer {nobody}")}})).await;
    let answered = socket.message().await;
    assert_eq!(answered["payload"]["code"], "UNAUTHENTICATED", "{answered}");
    assert!(answered["payload"]["message"].as_str().unwrap().contains("names nobody"), "{answered}");
    // A service is named by its client's id.
    let service = trusting.token(&json!({"sub": null, "cid": "0oa1"}));
    let (mut socket, _) = trusting.socket(&service).await;
    socket.send(json!({"type": "ping", "payload": {"authorization": format!("Bearer {service}")}})).await;
    assert!(socket.message().await["payload"]["expiresAt"].is_string());
}

/// Without the issuer's keys, nobody knows which tokens are right, so a client must not throw its token away.
#[tokio::test]
async fn a_gateway_without_keys_asks_its_clients_to_come_again() {
    let trusting = TrustingGateway::start().await;
    let token = trusting.token(&json!({}));
    trusting.issuer.behave(IssuerBehaviour::Status(500));
    let database = TestDatabase::new().await;
    let mut with_issuer = settings(&database);
    with_issuer.issuers = settings_at(&trusting.issuer.url(), "").issuers;
    let gateway = Gateway::start_over(database, with_issuer).await;
    let query = gateway.client.post(gateway.url("/graphql")).json(&json!({"query": "{ __typename }"}));
    let metrics = gateway.client.get(gateway.url("/metrics"));
    for request in [query, metrics] {
        let response = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        let answer: Value = response.json().await.unwrap();
        let code = answer.pointer("/errors/0/extensions/code").or_else(|| answer.pointer("/error/code"));
        assert_eq!(code, Some(&json!("UNAVAILABLE")), "{answer}");
    }
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
    let payload = json!({"authorization": format!("Bearer {token}")});
    socket.send(json!({"type": "connection_init", "payload": payload})).await;
    assert_eq!(socket.hear().await, Heard::Closed(Some(1013)));
}
