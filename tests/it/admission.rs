//! Admission of requests by their heads, on every route: the host, and the page from which a request comes.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use sluice::auth::{HookSecrets, Readers};
use sluice::config::{DatabaseLocation, Settings};

use crate::database::TestDatabase;
use crate::events::{delivery, sync_event};
use crate::gateway::{Gateway, HOOK_SECRET, ORG, settings};
use crate::raw_http::{RawAnswer, RawHttp};

const TOKEN: &str = "the reader's token";

/// Every route, and an address at which there is none.
const ROUTES: [(&str, &str); 14] = [
    ("GET", "/"),
    ("GET", "/graphiql"),
    ("GET", "/graphiql/none.js"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/graphql?query=%7B__typename%7D"),
    ("POST", "/graphql"),
    ("GET", "/okta/acme/hooks"),
    ("POST", "/okta/acme/hooks"),
    ("POST", "/okta/acme/workflows"),
    ("POST", "/okta/acme/log-stream"),
    ("POST", "/okta/acme/import"),
    ("DELETE", "/nothing"),
];

fn without_hook_secret(settings: &mut Settings) {
    settings.orgs.get_mut(ORG).unwrap().hook = HookSecrets::new("authorization", Vec::new());
}

fn with_reader(settings: &mut Settings) {
    settings.readers = Readers::new(vec![("dashboard".to_owned(), TOKEN.into())]);
}

impl Gateway {
    /// A request that a page could send without its browser asking first.
    fn simple(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.client.request(Method::try_from(method).unwrap(), self.url(path));
        let body = if path.contains("graphql") { "{}".to_owned() } else { delivery(&[sync_event("one")]).to_string() };
        if method == "POST" { request.header("content-type", "text/plain").body(body) } else { request }
    }

    /// The status of a request, and the error's code and message.
    async fn refusal(&self, request: RequestBuilder) -> (u16, String, String) {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        let at = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let code = at("/errors/0/extensions/code").or_else(|| at("/error/code")).unwrap_or_default();
        let message = at("/errors/0/message").or_else(|| at("/error/message")).unwrap_or_default();
        (status, code, message)
    }

    /// Sends a request's head as it is.
    async fn raw(&self, head: &str) -> RawAnswer {
        let mut connection = RawHttp::connect(self.address).await;
        connection.send(head.replace("@host", &self.address.to_string()) + "\r\n").await;
        connection.answer().await
    }
}

#[tokio::test]
async fn no_route_answers_a_foreign_page_or_a_foreign_name() {
    let gateway = Gateway::start_with(without_hook_secret).await;
    let port = gateway.address.port();
    let foreign = [
        ("origin", "https://evil.example".to_owned(), "FOREIGN_ORIGIN"),
        ("origin", "null".to_owned(), "FOREIGN_ORIGIN"),
        ("sec-fetch-site", "cross-site".to_owned(), "FOREIGN_ORIGIN"),
        ("host", format!("evil.example:{port}"), "FOREIGN_HOST"),
    ];
    for (method, path) in ROUTES {
        for (name, value, expected) in &foreign {
            let request = gateway.simple(method, path).header(*name, value);
            let (status, code, _) = gateway.refusal(request).await;
            assert_eq!((status, code.as_str()), (403, *expected), "{method} {path} with {name}: {value}");
        }
        let own =
            gateway.simple(method, path).header("origin", gateway.url("")).header("sec-fetch-site", "same-origin");
        assert_ne!(own.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
    for code in ["FOREIGN_ORIGIN", "FOREIGN_HOST"] {
        assert!(gateway.has_metric(&format!("sluice_requests_refused_total{{code=\"{code}\"}}")).await, "{code}");
    }
    assert_eq!(gateway.head().await, "3", "what the own page sent to three ways in, and nothing else");
}

#[tokio::test]
async fn a_gateway_that_is_starting_does_not_answer_them_either() {
    let database = TestDatabase::new().await;
    let mut settings = settings(&database);
    settings.database = DatabaseLocation::Url("postgres://nobody@127.0.0.1:1/none".to_owned());
    let gateway = Gateway::start_unready(database, settings).await;
    for (method, path) in ROUTES {
        let request = gateway.simple(method, path).header("origin", "https://evil.example");
        assert_eq!(gateway.refusal(request).await.0, 403, "{method} {path}");
    }
    assert_eq!(gateway.raw("GET /livez HTTP/1.1\r\n").await.status, 400);
}

#[tokio::test]
async fn what_has_its_secrets_is_asked_by_any_name() {
    let gateway = Gateway::start_with(with_reader).await;
    for (method, path) in ROUTES {
        let host = "sluice.example";
        for request in [
            gateway.simple(method, path).header("host", host),
            gateway.simple(method, path).header("host", host).header("origin", format!("https://{host}")),
        ] {
            assert_ne!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{method} {path}");
        }
        let foreign = gateway.simple(method, path).header("host", host).header("origin", "https://other.example");
        assert_eq!(gateway.refusal(foreign).await.1, "FOREIGN_ORIGIN", "{method} {path}");
    }
}

#[tokio::test]
async fn an_org_without_a_secret_is_delivered_to_by_this_machines_names() {
    let gateway = Gateway::start_with(|settings| {
        with_reader(settings);
        without_hook_secret(settings);
    })
    .await;
    for path in ["/okta/acme/hooks", "/okta/%61cme/hooks", "/okta/acme/import"] {
        let (status, code, message) =
            gateway.refusal(gateway.simple("POST", path).header("host", "sluice.example")).await;
        assert_eq!((status, code.as_str()), (403, "FOREIGN_HOST"), "{path}");
        assert!(message.contains("sluice.example") && message.contains("hook_secrets"), "{message}");
    }
    let asked = gateway.client.get(gateway.url("/metrics")).bearer_auth(TOKEN).header("host", "sluice.example");
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);
    let delivered = gateway.simple("POST", "/okta/acme/hooks").send().await.unwrap();
    assert_eq!(delivered.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_says_what_was_compared_and_what_to_do() {
    let gateway = Gateway::start_with(with_reader).await;
    for path in ["/graphql", "/okta/acme/hooks"] {
        let request = gateway.simple("POST", path).header("origin", "https://sluice.example");
        let (_, _, message) = gateway.refusal(request).await;
        for part in ["https://sluice.example", &gateway.address.to_string(), "access.trusted_proxies", "Host"] {
            assert!(message.contains(part), "{message}");
        }
    }
    let open = Gateway::start().await;
    let (_, _, message) = open.refusal(open.simple("GET", "/metrics").header("host", "evil.example")).await;
    assert!(message.contains("evil.example") && message.contains("[[readers]]"), "{message}");
}

#[tokio::test]
async fn links_of_other_sites_lead_to_pages_and_execute_no_query() {
    let gateway = Gateway::start().await;
    for (path, status) in [("/", 200), ("/metrics", 200), ("/graphql?query=%7B__typename%7D", 403)] {
        let headers =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let request =
            headers.iter().fold(gateway.simple("GET", path), |request, (name, value)| request.header(*name, *value));
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let gateway = Gateway::start().await;
    for (head, status, reason) in [
        ("GET /livez HTTP/1.1\r\n", 400, "no Host header"),
        ("GET /livez HTTP/1.1\r\nHost: @host\r\nHost: @host\r\n", 400, "2 Host headers"),
        ("GET /livez HTTP/1.0\r\nHost: @host\r\nHost: evil.example\r\n", 400, "2 Host headers"),
        ("GET /livez HTTP/1.1\r\nHost:\r\n", 400, "not a host"),
        ("GET /livez HTTP/1.1\r\nHost: a@@host\r\n", 400, "not a host"),
        ("GET http://evil.example/livez HTTP/1.1\r\nHost: @host\r\n", 400, "evil.example"),
        ("GET http://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n", 403, "evil.example"),
        ("GET http://@host/livez HTTP/1.1\r\nHost: @host\r\n", 200, ""),
        ("GET /livez HTTP/1.1\r\nHost: @host\r\n", 200, ""),
        ("GET /livez HTTP/1.0\r\n", 200, ""),
    ] {
        let answer = gateway.raw(head).await;
        assert_eq!(answer.status, status, "{head}: {answer:?}");
        assert!(answer.body.contains(reason), "{head}: {answer:?}");
    }
    let graphql = gateway.raw("GET /graphql?query=%7B__typename%7D HTTP/1.1\r\n").await;
    let answer: Value = serde_json::from_str(&graphql.body).unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "in the form of its route");
}

#[tokio::test]
async fn a_handshake_that_a_proxy_has_cut_short_is_answered_with_426() {
    let gateway = Gateway::start_with(with_reader).await;
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (version, more, missing) in [
        ("1.1", "", "`Upgrade: websocket` is missing"),
        ("1.1", "Connection: close\r\n", "`Upgrade: websocket` is missing"),
        ("1.1", "Upgrade: websocket\r\nConnection: keep-alive\r\n", "`Connection: upgrade` is missing"),
        ("1.0", "Connection: close\r\n", "`Upgrade: websocket` is missing"),
        ("1.0", "Upgrade: websocket\r\nConnection: upgrade\r\n", "HTTP/1.0"),
    ] {
        let answer = gateway.raw(&format!("GET /graphql HTTP/{version}\r\nHost: @host\r\n{key}{more}")).await;
        assert_eq!(answer.status, 426, "{more}: {answer:?}");
        assert!(answer.head.contains("\r\nupgrade: websocket\r\n"), "{answer:?}");
        for part in ["UPGRADE_REQUIRED", missing, "a proxy", "docs/proxies.md"] {
            assert!(answer.body.contains(part), "{more}: {answer:?}");
        }
    }
    let plain = gateway.raw("GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: @host\r\n").await;
    assert_eq!(plain.status, 401, "{plain:?}");
    let hook = gateway.client.post(gateway.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
    let delivered = hook.body(delivery(&[sync_event("one")]).to_string()).send().await.unwrap();
    assert_eq!(delivered.status(), StatusCode::OK);
}
