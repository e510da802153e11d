//! The ends of sessions: by their people, by issuers, by time and by other rules, on every gateway.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use okta_sim::{AuthorizationServer, CLIENT_ID};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::browser::{Browser, PUBLIC_URL};
use crate::database::TestDatabase;
use crate::events::sync_events;
use crate::gateway::Gateway;
use crate::sign_in::{issuer, settings_of};
use crate::socket::{Heard, Socket};

const SUBSCRIPTION: &str = "subscription { syncEvents { events { uuid } position } }";

/// The longest that a revocation may take on any gateway.
const WITHIN: Duration = Duration::from_secs(3);

/// Two gateways over one database.
async fn two_gateways(issuer: &AuthorizationServer) -> [Gateway; 2] {
    let database = TestDatabase::new().await;
    let start = || Gateway::start_over(database.clone(), settings_of(issuer, &database, "owners"));
    [start().await, start().await]
}

/// Opens a socket that follows events.
async fn following(browser: &Browser, gateway: &Gateway) -> Socket {
    let mut socket = browser.socket(gateway).await;
    socket.subscribed("1", SUBSCRIPTION, json!({})).await;
    socket
}

async fn assert_ends(sockets: &mut [Socket]) {
    let started = Instant::now();
    for socket in sockets {
        assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    }
    assert!(started.elapsed() < WITHIN, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_logout_ends_everything_on_every_gateway() {
    let issuer = issuer().await;
    let [first, second] = two_gateways(&issuer).await;
    let (mut browser, other) = (Browser::signed_in(&first).await, Browser::signed_in(&first).await);
    let copy = Browser { cookies: browser.cookies.clone() };
    let mut sockets = [following(&browser, &first).await, following(&browser, &second).await];
    let mut of_other = following(&other, &second).await;
    first.deliver(&sync_events("mine", 1)).await;
    for socket in &mut sockets {
        assert_eq!(socket.batch("1").await["events"].as_array().unwrap().len(), 1);
    }
    let (status, answer) = browser.sign_out(&first).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let address = answer["signOut"].as_str().unwrap();
    let start = format!("{}/v1/logout?id_token_hint=", issuer.url());
    assert!(address.starts_with(&start), "{address}");
    assert!(
        address.ends_with("&client_id=0oasluice&post_logout_redirect_uri=https%3A%2F%2Fsluice.example%2F"),
        "{address}"
    );
    assert!(!browser.cookies.contains_key("__Host-sluice"));
    assert_ends(&mut sockets).await;
    for gateway in [&first, &second] {
        let (status, answer) = copy.ask(gateway, "{ __typename }").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
    }
    second.deliver(&sync_events("mine", 1)).await;
    of_other.batch("1").await;
    assert_eq!(browser.sign_out(&first).await, (StatusCode::OK, json!({"signOut": null})), "it has ended already");
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Returns the claims of a logout token, some of which are changed.
fn logout(changes: &Value) -> Value {
    let mut claims = json!({"aud": CLIENT_ID, "jti": uuid::Uuid::new_v4(), "sub": "00u1", "events": {EVENT: {}}});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn send_token(gateway: &Gateway, token: &str) -> (StatusCode, String) {
    let request = gateway.client.post(gateway.url("/auth/backchannel-logout"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let response = request.body(format!("logout_token={token}")).send().await.unwrap();
    assert!(response.status() != StatusCode::OK || response.headers()["cache-control"] == "no-store");
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn forged_logout_tokens_end_nothing() {
    let (issuer, foreign) = (issuer().await, issuer().await);
    let [gateway, _] = two_gateways(&issuer).await;
    let browser = Browser::signed_in(&gateway).await;
    let mut socket = following(&browser, &gateway).await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let token = |changes: &Value| issuer.token(&logout(changes)).unwrap();
    let header = Header { kid: Some("key-0".to_owned()), ..Header::new(Algorithm::ES256) };
    let good = token(&json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let as_issuer = json!({"iss": issuer.url()});
    for (token, words) in [
        (foreign.token(&logout(&json!({}))).unwrap(), "is configured"),
        (foreign.sign(&header, &logout(&as_issuer)).unwrap(), "signature is wrong"),
        (format!("eyJhbGciOiJub25lIn0.{}.", parts[1]), "it is not signed (its alg is none)"),
        (format!("{}.{}.", parts[0], parts[1]), "signature is wrong"),
        (token(&json!({"aud": "0oaother"})), "sign_in.client_id"),
        (token(&json!({"events": {}})), "claim events"),
        (token(&json!({"events": null})), "claim events"),
        (token(&json!({"events": {EVENT: null}})), "claim events"),
        (token(&json!({"nonce": "n"})), "nonce"),
        (token(&json!({"jti": null})), "jti"),
        (token(&json!({"iat": null})), "iat"),
        (token(&json!({"iat": now - 1_000})), "too long ago"),
        (token(&json!({"iat": now + 1_000})), "too long ago, or in the future"),
        (token(&json!({"exp": now - 100})), "expired"),
        (token(&json!({"sub": null})), "sub or sid"),
        (token(&json!({"sub": 1, "sid": "session-1"})), "sub or sid"),
        ("nothing".to_owned(), "no signed JSON Web Token"),
        (String::new(), "no signed JSON Web Token"),
    ] {
        let (status, said) = send_token(&gateway, &token).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{words}: {said}");
        assert!(said.contains(words), "{words}: {said}");
    }
    // Tokens of others end nothing of this person.
    for changes in [json!({"sub": "00u2"}), json!({"sid": "session-2"}), json!({"sub": null, "sid": "session-2"})] {
        assert_eq!(send_token(&gateway, &token(&changes)).await.0, StatusCode::OK, "{changes}");
    }
    assert!(socket.hears_nothing(Duration::from_millis(2_500)).await);
    let (status, said) = send_token(&gateway, &"a".repeat(70_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{said}");
}

#[tokio::test]
async fn an_issuer_ends_sessions_on_every_gateway() {
    let issuer = issuer().await;
    let [first, second] = two_gateways(&issuer).await;
    for changes in [json!({}), json!({"sid": "session-1"}), json!({"sub": null, "sid": "session-1"})] {
        let browser = Browser::signed_in(&first).await;
        let mut sockets = [following(&browser, &first).await, following(&browser, &second).await];
        let token = issuer.token(&logout(&changes)).unwrap();
        let (status, said) = send_token(&second, &token).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_ends(&mut sockets).await;
        assert_eq!(browser.ask(&first, "{ __typename }").await.0, StatusCode::UNAUTHORIZED);
        let again = Browser::signed_in(&first).await;
        for gateway in [&first, &second] {
            let (status, said) = send_token(gateway, &token).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
            assert!(said.contains("used before"), "{said}");
        }
        assert_eq!(again.ask(&second, "{ __typename }").await.0, StatusCode::OK);
    }
    // A session that has begun after the issuer's logout goes on.
    let later = Browser::signed_in(&first).await;
    let earlier = OffsetDateTime::now_utc().unix_timestamp() - 100;
    assert_eq!(send_token(&first, &issuer.token(&logout(&json!({"iat": earlier}))).unwrap()).await.0, StatusCode::OK);
    assert_eq!(later.ask(&first, "{ __typename }").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_session_ends_at_its_time() {
    let issuer = issuer().await;
    let [first, second] = two_gateways(&issuer).await;
    let browser = Browser::signed_in(&first).await;
    // The second gateway does not know the session yet.
    let shorten = sqlx::query("UPDATE session SET expires_at = now() + interval '4 seconds'");
    shorten.execute(&first.database.pool).await.unwrap();
    let started = Instant::now();
    let mut socket = following(&browser, &second).await;
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    tokio::time::sleep_until(started + Duration::from_millis(4_500)).await;
    let (status, answer) = browser.ask(&second, "{ __typename }").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
}

/// The claims of a session stay, and the present rules decide what they give.
#[tokio::test]
async fn other_rules_apply_to_sessions_at_once() {
    let issuer = issuer().await;
    issuer.let_in(json!({"groups": ["owners", "auditors"], "instances": ["0oamine"]}));
    let database = TestDatabase::new().await;
    let shared = settings_of(&issuer, &database, "owners");
    let gateway = Gateway::start_over(database.clone(), shared.clone()).await;
    let browser = Browser::signed_in(&gateway).await;
    let mut socket = following(&browser, &gateway).await;
    assert_eq!(shared.adopt(&settings_of(&issuer, &database, "owners")).changed, [""; 0]);
    assert!(socket.hears_nothing(Duration::from_millis(300)).await);
    assert_eq!(shared.adopt(&settings_of(&issuer, &database, "auditors")).changed, ["issuer okta has other settings"]);
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    let mut socket = following(&browser, &gateway).await;
    shared.adopt(&settings_of(&issuer, &database, "nobody"));
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    let (status, answer) = browser.ask(&gateway, "{ __typename }").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NO_RIGHTS");
    let session = browser.session(&gateway).await;
    assert!(session["session"].is_null() && session["message"].as_str().unwrap().contains("issuers.okta.rules"));
    shared.adopt(&settings_of(&issuer, &database, "owners"));
    assert_eq!(browser.ask(&gateway, "{ __typename }").await.0, StatusCode::OK);
    // Another issuer may call other people by the same names.
    let other = crate::sign_in::issuer().await;
    shared.adopt(&settings_of(&other, &database, "owners"));
    let (status, answer) = browser.ask(&gateway, "{ __typename }").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");
}

#[tokio::test]
async fn a_socket_is_told_why_its_session_does_not_count() {
    let issuer = issuer().await;
    let [first, second] = two_gateways(&issuer).await;
    let (mut revoked, expired) = (Browser::signed_in(&first).await, Browser::signed_in(&first).await);
    let (mut other_page, mut invented) = (Browser::signed_in(&first).await, Browser::default());
    let copy = Browser { cookies: revoked.cookies.clone() };
    assert_eq!(revoked.sign_out(&first).await.0, StatusCode::OK);
    let expire = "UPDATE session SET created_at = now() - interval '9 h', expires_at = now() - interval '1 s' \
                  WHERE hash = sha256($1::bytea)";
    let query = sqlx::query(expire).bind(expired.cookies["__Host-sluice"].as_bytes());
    assert_eq!(query.execute(&first.database.pool).await.unwrap().rows_affected(), 1);
    invented.cookies.insert("__Host-sluice".to_owned(), "A".repeat(43));
    for (browser, origin, says) in [
        (&copy, PUBLIC_URL, "Forbidden: the session was ended at 20"),
        (&expired, PUBLIC_URL, "Forbidden: the session expired at 20"),
        (&invented, PUBLIC_URL, "Forbidden: the session has ended: sign in again at /auth/login"),
        (
            &other_page,
            "https://portal.sluice.example",
            "Forbidden: a session counts only for pages at access.public_url",
        ),
    ] {
        let (code, reason) = browser.socket_of(&second, origin).await.unwrap().close_reason().await;
        assert!(code == Some(4403) && reason.starts_with(says), "{says}: {code:?} {reason}");
        assert!(origin != PUBLIC_URL || reason.ends_with(": sign in again at /auth/login"), "{reason}");
        if origin == PUBLIC_URL {
            let (status, answer) = browser.ask(&second, "{ __typename }").await;
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert_eq!((status, format!("Forbidden: {message}")), (StatusCode::UNAUTHORIZED, reason));
        }
    }
    other_page.cookies.clear();
    let (code, reason) = other_page.socket_of(&second, PUBLIC_URL).await.unwrap().close_reason().await;
    assert!(
        code == Some(4403) && reason.ends_with("the session of a person who has signed in is required"),
        "{reason}"
    );
}
