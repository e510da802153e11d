//! Sign-in by OpenID Connect: what people see who sign in, and what issuers and browsers cannot do.

use std::time::Duration;

use okta_sim::{AuthorizationServer, CLIENT_ID, SignInBehaviour};
use reqwest::header::{COOKIE, STRICT_TRANSPORT_SECURITY};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use sluice::config::Settings;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::browser::{Browser, PUBLIC_URL, location};
use crate::database::TestDatabase;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};
use crate::npm::run_beside_events;
use crate::process::free_address;
use crate::started_with::Place;

/// An instance with 3 of the gateway's 5 events.
const INSTANCE: &str = "mine";

const QUERY: &str = "{ syncEvents { nodes { uuid } } viewer { name kind scopes expiresAt } }";

/// Starts an authorization server, at which a person signs in who may see an instance.
pub(crate) async fn issuer() -> AuthorizationServer {
    let issuer = AuthorizationServer::start(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    issuer.let_in(json!({"name": "Ada Lovelace", "groups": ["owners"], "instances": ["0oamine"]}));
    issuer
}

/// Returns the settings of a gateway at which people sign in. `has` is the group with rights.
pub(crate) fn settings_of(issuer: &AuthorizationServer, database: &TestDatabase, has: &str) -> Settings {
    let file = format!(
        r#"
        [access]
        public_url = "{PUBLIC_URL}"
        allowed_origins = ["https://portal.sluice.example"]
        [[orgs]]
        name = "acme"
        hook_secrets = ["literal:the hook's secret"]
        [[issuers]]
        name = "okta"
        url = "{}"
        sign_in = {{ client_id = "{CLIENT_ID}", client_secret = "env:SECRET" }}
        [[issuers.rules]]
        claim = "groups"
        has = "{has}"
        scopes = ["events:read", "people:read"]
        see = [ {{ org = "acme", instances = "claim:instances" }} ]
        "#,
        issuer.url()
    );
    let read = Place::new(file).read(&|name| (name == "SECRET").then(|| okta_sim::CLIENT_SECRET.to_owned()));
    let mut settings = settings(database);
    settings.issuers = read.issuers;
    settings.public_url = read.public_url;
    settings.allowed_origins = read.allowed_origins;
    settings
}

async fn start(issuer: &AuthorizationServer) -> Gateway {
    let database = TestDatabase::new().await;
    let settings = settings_of(issuer, &database, "owners");
    let gateway = Gateway::start_over(database, settings).await;
    gateway.deliver(&sync_events(INSTANCE, 3)).await;
    gateway.deliver(&sync_events("other", 2)).await;
    gateway
}

async fn with_issuer() -> (Gateway, AuthorizationServer) {
    let issuer = issuer().await;
    (start(&issuer).await, issuer)
}

#[tokio::test]
async fn a_person_signs_in_and_sees_what_the_rules_give() {
    let (gateway, issuer) = with_issuer().await;
    let mut browser = Browser::default();
    let signed_out = json!({"signIn": [{"issuer": "okta", "url": "/auth/login?issuer=okta"}], "session": null});
    assert_eq!(browser.session(&gateway).await, signed_out);
    let (status, answer) = browser.ask(&gateway, QUERY).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer}");

    for methods in [&["client_secret_basic", "client_secret_post"][..], &["private_key_jwt", "client_secret_post"]] {
        // The gateway has read the metadata at its start.
        issuer.accept_secrets_by(methods);
        let gateway = start(&issuer).await;
        let begun = browser.go(&gateway, "/auth/login?to=/graphiql%3Fa=1").await;
        assert_eq!(begun.headers()[STRICT_TRANSPORT_SECURITY], "max-age=31536000");
        assert_eq!(begun.headers()["cache-control"], "no-store");
        let asked = Url::parse(&location(&begun)).unwrap();
        let value = |name: &str| asked.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
        assert_eq!(value("redirect_uri"), format!("{PUBLIC_URL}/auth/callback"));
        assert_eq!((value("scope").as_str(), value("code_challenge_method").as_str()), ("openid profile", "S256"));
        let back = browser.come_back(&gateway, "/auth/login?to=/graphiql%3Fa=1").await;
        let finished = browser.go(&gateway, &back).await;
        assert_eq!(finished.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&finished), "/graphiql?a=1");

        let (status, answer) = browser.ask(&gateway, QUERY).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["data"]["syncEvents"]["nodes"].as_array().unwrap().len(), 3, "{answer}");
        let viewer = &answer["data"]["viewer"];
        assert_eq!((&viewer["name"], &viewer["kind"]), (&json!("00u1"), &json!("SESSION")), "{viewer}");
        let session = browser.session(&gateway).await;
        assert_eq!(session["session"]["name"], "Ada Lovelace", "{session}");
        assert_eq!(session["session"]["expiresAt"], viewer["expiresAt"], "{session}");
    }
}

/// A sign-in in a real browser, at an issuer that is certified for OpenID Connect, with logout by the person and by the issuer.
#[tokio::test]
async fn people_sign_in_with_a_browser() {
    let (gateway_address, issuer_address) = (free_address(), free_address());
    let database = TestDatabase::new().await;
    let file = format!(
        r#"
        access.public_url = "http://{gateway_address}"
        [[issuers]]
        name = "provider"
        url = "http://{issuer_address}"
        sign_in = {{ client_id = "sluice", client_secret = "literal:a secret of sluice", scopes = ["openid", "profile", "groups"] }}
        [[issuers.rules]]
        claim = "groups"
        has = "owners"
        scopes = ["events:read", "people:read", "ingestion:read"]
        "#
    );
    let read = Place::new(file).read(&|_| None);
    let mut settings = settings(&database);
    (settings.issuers, settings.public_url, settings.listen) = (read.issuers, read.public_url, gateway_address);
    let gateway = Gateway::start_over(database, settings).await;
    let port = issuer_address.port().to_string();
    run_beside_events(&gateway, "sign_in.mjs", &[&gateway.url(""), &port, "sluice", "a secret of sluice"]).await;
}

/// Whatever an issuer does wrong is refused with words that say what, and which setting to look at.
#[tokio::test]
async fn each_lie_of_an_issuer_is_refused() {
    let (gateway, issuer) = with_issuer().await;
    for (behaviour, status, words) in [
        (SignInBehaviour::State, StatusCode::BAD_REQUEST, "This sign-in is not known"),
        (
            SignInBehaviour::Issuer,
            StatusCode::BAD_REQUEST,
            "&quot;https://other.example&quot;, not by issuers.okta.url",
        ),
        (
            SignInBehaviour::Refusal,
            StatusCode::BAD_REQUEST,
            "access_denied: User is not assigned &lt;b&gt;to&lt;/b&gt; the app (issuers.okta.sign_in).",
        ),
        (SignInBehaviour::NoCode, StatusCode::BAD_REQUEST, "without a code"),
        (SignInBehaviour::Nonce, StatusCode::BAD_GATEWAY, "its nonce is of another sign-in"),
        (SignInBehaviour::NoNonce, StatusCode::BAD_GATEWAY, "its nonce is of another sign-in"),
        (SignInBehaviour::Audience, StatusCode::BAD_GATEWAY, "issuers.okta.sign_in.client_id is &quot;0oasluice&quot;"),
        (SignInBehaviour::AuthorizedParty, StatusCode::BAD_GATEWAY, "issued to another client"),
        (SignInBehaviour::SeveralAudiences, StatusCode::BAD_GATEWAY, "issued to another client"),
        (SignInBehaviour::Expired, StatusCode::BAD_GATEWAY, "it expired at"),
        (SignInBehaviour::IssuedLongAgo, StatusCode::BAD_GATEWAY, "issuers.okta.leeway_seconds"),
        (SignInBehaviour::Unsigned, StatusCode::BAD_GATEWAY, "it is not signed (its alg is none)"),
        (
            SignInBehaviour::OtherIssuer,
            StatusCode::BAD_GATEWAY,
            "its issuer is &quot;https://other.example&quot;, but issuers.okta.url is &quot;http",
        ),
        (SignInBehaviour::NoSubject, StatusCode::BAD_GATEWAY, "&quot;sub&quot;"),
        (SignInBehaviour::NoIdToken, StatusCode::BAD_GATEWAY, "issuers.okta.sign_in.scopes must have openid"),
        (SignInBehaviour::Html, StatusCode::BAD_GATEWAY, "answers with 200 OK and no JSON"),
        (SignInBehaviour::Large, StatusCode::BAD_GATEWAY, "more than 262144 bytes"),
        (SignInBehaviour::Redirect, StatusCode::BAD_GATEWAY, "redirects are not followed"),
        (SignInBehaviour::Slow, StatusCode::BAD_GATEWAY, "no answer within 10 s"),
    ] {
        issuer.behave_at_sign_in(behaviour);
        let mut browser = Browser::default();
        let failed = browser.sign_in(&gateway).await;
        assert_eq!(failed.status(), status, "{behaviour:?}");
        let page = failed.text().await.unwrap();
        assert!(page.contains(words) && page.contains("Sign in again"), "{behaviour:?}: {page}");
        assert!(!browser.cookies.contains_key("__Host-sluice"), "{behaviour:?}");
    }
    issuer.behave_at_sign_in(SignInBehaviour::Correct);
    Browser::signed_in(&gateway).await;
    assert_eq!(gateway.database.number("SELECT count(*) FROM session").await, 1);
}

#[tokio::test]
async fn a_person_without_rights_is_told_why() {
    let (gateway, issuer) = with_issuer().await;
    issuer.let_in(json!({"groups": ["guests"], "department": "sales"}));
    let mut browser = Browser::default();
    let refused = browser.sign_in(&gateway).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let page = refused.text().await.unwrap();
    for words in [
        "You have signed in as 00u1, but no rule gives you rights here: groups has other values",
        "department",
        "groups",
        "[[issuers.rules]] of the issuer okta",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("guests") && !page.contains("sales"), "{page}");
    assert!(!browser.cookies.contains_key("__Host-sluice"));
    // The issuer would otherwise let the same person in.
    assert!(page.contains(r#"<a href="/auth/login?again=1&amp;issuer=okta">Sign in as somebody else</a>"#), "{page}");
    let again = browser.go(&gateway, "/auth/login?again=1&issuer=okta").await;
    assert!(location(&again).contains("&prompt=login"), "{again:?}");
    assert!(!location(&browser.go(&gateway, "/auth/login").await).contains("prompt="));
}

/// A sign-in is finished once, and by the browser that has begun it.
#[tokio::test]
async fn a_sign_in_belongs_to_one_browser_and_is_used_once() {
    let (gateway, _issuer) = with_issuer().await;
    let mut attacker = Browser::default();
    let back = attacker.come_back(&gateway, "/auth/login").await;
    // A victim whom the attacker sends there would be signed in as the attacker.
    let mut victim = Browser::default();
    for mut browser in [Browser::default(), Browser { cookies: victim.cookies.clone() }] {
        let refused = browser.go(&gateway, &back).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert!(!browser.cookies.contains_key("__Host-sluice"));
    }
    let own = victim.come_back(&gateway, "/auth/login").await;
    assert_eq!(victim.go(&gateway, &back).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(attacker.go(&gateway, &back).await.status(), StatusCode::SEE_OTHER);
    let replayed = attacker.go(&gateway, &back).await;
    assert_eq!(replayed.status(), StatusCode::BAD_REQUEST);
    assert!(replayed.text().await.unwrap().contains("was finished before"));
    // Two sign-ins of a browser do not disturb each other.
    let other_tab = victim.come_back(&gateway, "/auth/login?to=/graphiql").await;
    assert_eq!(location(&victim.go(&gateway, &other_tab).await), "/graphiql");
    assert_eq!(location(&victim.go(&gateway, &own).await), "/");
    let code = back.split("code=").nth(1).unwrap();
    let begun = victim.come_back(&gateway, "/auth/login").await;
    let own_code = begun.split("code=").nth(1).unwrap();
    let refused = victim.go(&gateway, &begun.replace(own_code, code)).await;
    let page = refused.text().await.unwrap();
    assert!(page.contains("invalid_grant") && page.contains("https://sluice.example/auth/callback"), "{page}");
    assert_eq!(gateway.database.number("SELECT count(*) FROM login").await, 0);
}

#[tokio::test]
async fn a_sign_in_leads_to_no_other_site() {
    let (gateway, _issuer) = with_issuer().await;
    for to in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "/.//evil.example",
        "evil.example",
        "javascript:alert(1)",
        "%20//evil.example",
    ] {
        let refused = Browser::default().go(&gateway, &format!("/auth/login?to={to}")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{to}");
        assert!(refused.text().await.unwrap().contains("must be a path of this gateway"), "{to}");
    }
    let twice = Browser::default().go(&gateway, "/auth/login?to=/a&to=//evil.example").await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    let unknown = Browser::default().go(&gateway, "/auth/login?issuer=%3Cb%3E").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(unknown.text().await.unwrap().contains("&lt;b&gt;"));
}

/// A session's id is always new, and the session before it ends.
#[tokio::test]
async fn nobody_can_fix_a_session_beforehand() {
    let (gateway, _issuer) = with_issuer().await;
    let attacker = Browser::signed_in(&gateway).await;
    let fixed = attacker.cookies["__Host-sluice"].clone();
    let mut victim = Browser::default();
    for planted in [fixed.as_str(), "planted", &"A".repeat(43)] {
        victim.cookies.insert("__Host-sluice".to_owned(), planted.to_owned());
        victim.sign_in(&gateway).await;
        assert_ne!(victim.cookies["__Host-sluice"], planted);
        assert_eq!(victim.ask(&gateway, QUERY).await.0, StatusCode::OK);
    }
    assert_eq!(attacker.ask(&gateway, QUERY).await.0, StatusCode::UNAUTHORIZED, "it was the browser's earlier session");
}

/// A cookie counts only with requests of the gateway's own pages.
#[tokio::test]
async fn a_cookie_counts_for_pages_of_the_gateway_only() {
    let (gateway, _issuer) = with_issuer().await;
    let browser = Browser::signed_in(&gateway).await;
    let url = gateway.url("/graphql?query=%7B__typename%7D");
    for (lines, expected) in [
        (&[("origin", PUBLIC_URL)][..], StatusCode::OK),
        (&[("sec-fetch-site", "same-origin")], StatusCode::OK),
        (&[], StatusCode::UNAUTHORIZED),
        (&[("origin", "https://portal.sluice.example"), ("sec-fetch-site", "same-site")], StatusCode::UNAUTHORIZED),
        (&[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        (&[("origin", "null")], StatusCode::FORBIDDEN),
    ] {
        let mut request = gateway.client.get(&url).header(COOKIE, browser.cookie());
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected, "{lines:?}");
        if expected == StatusCode::UNAUTHORIZED {
            assert!(response.text().await.unwrap().contains("access.public_url"), "{lines:?}");
        }
    }
    for origin in ["", "https://portal.sluice.example"] {
        let mut socket = browser.socket_of(&gateway, origin).await.unwrap();
        assert_eq!(socket.hear().await, crate::socket::Heard::Closed(Some(4403)), "{origin:?}");
    }
    assert!(browser.socket_of(&gateway, "https://evil.example").await.is_err());
    browser.socket(&gateway).await;
    // The logout of a page elsewhere ends nothing.
    for request in [
        gateway.client.post(gateway.url("/auth/logout")).header("content-type", "application/json"),
        gateway
            .client
            .post(gateway.url("/auth/logout"))
            .json(&json!({}))
            .header("origin", "https://portal.sluice.example"),
        gateway.client.post(gateway.url("/auth/logout")).header("origin", PUBLIC_URL).body("{}"),
    ] {
        let response = request.header(COOKIE, browser.cookie()).send().await.unwrap();
        assert!(response.status().is_client_error(), "{response:?}");
    }
    assert_eq!(browser.ask(&gateway, QUERY).await.0, StatusCode::OK);
    // A token goes before a cookie.
    let request = browser.post(&gateway, "/graphql", &json!({"query": QUERY})).bearer_auth("nobody's");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

/// Invented sessions are refused, and cost others nothing.
#[tokio::test]
async fn invented_sessions_are_refused() {
    let (gateway, _issuer) = with_issuer().await;
    let mut inventor = Browser::default();
    let good = Browser::signed_in(&gateway).await;
    for id in ["", "a", &"A".repeat(43), &"A".repeat(4_000), "%00", "../x"] {
        inventor.cookies.insert("__Host-sluice".to_owned(), id.to_owned());
        let (status, answer) = inventor.ask(&gateway, QUERY).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{id}: {answer}");
        assert!(answer.to_string().contains("sign in again"), "{id}: {answer}");
    }
    assert_eq!(good.ask(&gateway, QUERY).await.0, StatusCode::OK);
}

/// While the database is away, sessions go on that the gateway knows; nobody can sign in or out.
#[tokio::test]
async fn known_sessions_go_on_without_the_database() {
    let (gateway, _issuer) = with_issuer().await;
    let mut browser = Browser::signed_in(&gateway).await;
    let back = browser.come_back(&gateway, "/auth/login").await;
    gateway.database.close().await;
    let (status, answer) = browser.ask(&gateway, "{ viewer { kind } }").await;
    assert_eq!((status, &answer["data"]["viewer"]["kind"]), (StatusCode::OK, &json!("SESSION")), "{answer}");
    let started = Instant::now();
    let mut unknown = Browser::default();
    unknown.cookies.insert("__Host-sluice".to_owned(), "A".repeat(43));
    let (status, answer) = unknown.ask(&gateway, QUERY).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(browser.go(&gateway, "/auth/login").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.go(&gateway, &back).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.sign_out(&gateway).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    gateway.database.open().await;
    assert_eq!(browser.ask(&gateway, QUERY).await.0, StatusCode::OK);
}

/// A gateway where nobody can sign in says so.
#[tokio::test]
async fn without_sign_in_the_routes_say_so() {
    let gateway = Gateway::start().await;
    let session: Value = gateway.client.get(gateway.url("/auth/session")).send().await.unwrap().json().await.unwrap();
    assert_eq!(session, json!({"signIn": [], "session": null}));
    for path in ["/auth/login", "/auth/callback"] {
        let answer = gateway.client.get(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().await.unwrap().contains("docs/sign-in.md"), "{path}");
    }
    for path in ["/auth/logout", "/auth/backchannel-logout"] {
        let answer = gateway.client.post(gateway.url(path)).json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
