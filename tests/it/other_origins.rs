//! Front ends on other origins: what CORS lets a browser's pages ask and read, and how others are refused.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sluice::auth::{AllowedOrigins, Readers};
use tokio_tungstenite::tungstenite;

use crate::events::sync_events;
use crate::gateway::Gateway;
use crate::npm::run_beside_events;
use crate::socket::{Socket, handshake};
use crate::started_with::Place;

const TOKEN: &str = "the portal's token";
const PORTAL: &str = "https://portal.example";

/// A gateway that allows pages of the portal, and of another origin.
async fn start(other: &str) -> Gateway {
    Gateway::start_with(|settings| {
        settings.readers = Readers::new(vec![("portal".to_owned(), TOKEN.into())]);
        settings.allowed_origins = AllowedOrigins::new(vec![PORTAL.parse().unwrap(), other.parse().unwrap()]);
    })
    .await
}

fn ask(gateway: &Gateway, origin: &str) -> RequestBuilder {
    let request =
        gateway.client.post(gateway.url("/graphql")).header("origin", origin).header("sec-fetch-site", "cross-site");
    request.bearer_auth(TOKEN).json(&json!({"query": "{ ingestion { head } }"}))
}

fn preflight(gateway: &Gateway, path: &str, origin: &str) -> RequestBuilder {
    let request = gateway.client.request(Method::OPTIONS, gateway.url(path)).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "authorization,content-type")
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read_the_answer() {
    let gateway = start("http://localhost:3000").await;
    for origin in [PORTAL, "http://localhost:3000"] {
        let response = preflight(&gateway, "/graphql", origin).send().await.unwrap();
        assert!(response.status().is_success(), "{origin}");
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert!(headers.get("access-control-allow-credentials").is_none(), "no cookies are sent");
        assert!(values(headers, "access-control-allow-methods").contains(&"POST"));
        for name in ["authorization", "content-type", "graphql-client-name", "last-event-id", "x-request-id"] {
            assert!(values(headers, "access-control-allow-headers").contains(&name), "{name}");
        }
        assert!(values(headers, "vary").contains(&"origin"));

        let response = ask(&gateway, origin).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
        assert!(values(response.headers(), "access-control-expose-headers").contains(&"retry-after"));
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["data"]["ingestion"]["head"], "0");
    }
    // Refusals can be read, too.
    let without_token = gateway.client.post(gateway.url("/graphql")).header("origin", PORTAL).body("{}");
    let refused = without_token.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], PORTAL);
    let without_origin =
        gateway.client.post(gateway.url("/graphql")).bearer_auth(TOKEN).json(&json!({"query": "{ __typename }"}));
    let answer = without_origin.send().await.unwrap();
    assert!(answer.status().is_success() && answer.headers().get("access-control-allow-origin").is_none());
    assert!(values(answer.headers(), "vary").contains(&"origin"), "caches must tell answers apart");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_and_told_the_setting() {
    let gateway = start("http://localhost:3000").await;
    for origin in ["https://evil.example", "https://portal.example.evil.example", "http://portal.example", "null"] {
        let response = ask(&gateway, origin).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
        assert!(response.headers().get("access-control-allow-origin").is_none(), "{origin}");
        let text = response.text().await.unwrap();
        assert!(text.contains("FOREIGN_ORIGIN") && text.contains("access.allowed_origins"), "{text}");
        let response = preflight(&gateway, "/graphql", origin).send().await.unwrap();
        assert!(response.headers().get("access-control-allow-origin").is_none(), "{origin}");
    }
    // The portal's pages have no business elsewhere.
    for path in ["/okta/acme/import", "/metrics", "/graphiql", "/"] {
        let response = preflight(&gateway, path, PORTAL).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(response.headers().get("access-control-allow-origin").is_none(), "{path}");
    }
}

#[test]
fn origins_that_cannot_be_meant_are_told() {
    let readers = "\nreaders = [{name = \"portal\", token = \"literal:the portal's long token\"}]";
    for (origins, place, says) in [
        (r#"["https://portal.example", "*"]"#, "access.allowed_origins[1]: \"*\": ", "\"https://portal.example.com\""),
        (r#"["http://portal.example"]"#, "access.allowed_origins[0]: \"http://portal.example\": ", "expected https"),
    ] {
        Place::new(format!("access = {{allowed_origins = {origins}}}{readers}")).check(&[]).assert_fault(place, says);
    }
    let open = Place::new(r#"access = {allowed_origins = ["https://portal.example"]}"#);
    open.check(&[]).assert_fault("access.allowed_origins: ", "configure [[readers]]");
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_opens_a_socket() {
    let gateway = start("http://localhost:3000").await;
    for (origin, is_allowed) in [(PORTAL, true), ("https://evil.example", false)] {
        let mut request = handshake(gateway.address, "graphql-transport-ws");
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match Socket::connect(request).await {
            Ok(mut socket) => {
                assert!(is_allowed, "{origin} was let in");
                let payload = json!({"authorization": format!("Bearer {TOKEN}")});
                socket.send(json!({"type": "connection_init", "payload": payload})).await;
                assert_eq!(socket.message().await, json!({"type": "connection_ack"}));
            }
            Err(tungstenite::Error::Http(response)) => {
                assert!(!is_allowed, "{origin} was refused");
                assert_eq!(response.status(), StatusCode::FORBIDDEN);
            }
            Err(error) => panic!("{origin}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_front_end_on_another_origin_works_in_a_browser() {
    // The port that the page's server will have, which must be known before the gateway starts.
    let portal = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = start(&format!("http://{portal}")).await;
    run_beside_events(&gateway, "portal.mjs", &[&gateway.url(""), TOKEN, &portal.port().to_string()]).await;
}

#[tokio::test]
async fn a_single_page_application_renews_its_tokens_and_resumes() {
    // The port that the page's backend will have, which must be known before the gateway starts.
    let portal = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let origin = format!("http://{portal}");
    let place = Place::new(format!(
        r#"
        [access]
        allowed_origins = ["{origin}"]
        [[orgs]]
        name = "acme"
        hook_secrets = ["literal:the hook's own secret"]
        [[issuers]]
        name = "portal"
        url = "{origin}"
        audience = "api://sluice"
        jwks = "file:portal-keys.json"
        leeway_seconds = 0
        [[issuers.rules]]
        claim = "roles"
        has = "viewer"
        scopes = ["events:read", "people:read"]
        see = [{{ org = "acme", instances = "claim:instances" }}]
        "#
    ));
    let trusting = place.read(&|_| None);
    let gateway = Gateway::start_with(|settings| {
        settings.issuers = trusting.issuers.clone();
        settings.allowed_origins = trusting.allowed_origins.clone();
    })
    .await;
    // Events of others, which the page must not show.
    gateway.deliver(&sync_events("others", 3)).await;
    let (directory, port) = (place.0.path().to_str().unwrap(), portal.port().to_string());
    run_beside_events(&gateway, "single_page.mjs", &[&gateway.url(""), directory, &port, "0oalisted"]).await;
}
