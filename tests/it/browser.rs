//! A browser that signs in: it keeps cookies, follows redirects when it is told to, and says which page sends a request.

use std::collections::HashMap;

use reqwest::header::{COOKIE, HOST, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::gateway::Gateway;
use crate::socket::{Socket, handshake};

/// The URL at which browsers reach the gateway, as its settings say. This browser knows where that is.
pub(crate) const PUBLIC_URL: &str = "https://sluice.example";

/// A browser.
#[derive(Default)]
pub(crate) struct Browser {
    /// The cookies of the gateway, by name.
    pub(crate) cookies: HashMap<String, String>,
}

pub(crate) fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

/// Returns the address to which a response redirects.
pub(crate) fn location(response: &Response) -> String {
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

impl Browser {
    /// Returns the cookies as a request has them.
    pub(crate) fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(line.contains("; Path=/; ") && line.contains("HttpOnly; SameSite=Lax; Secure"), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            assert!(name.starts_with("__Host-"), "{line}");
            if line.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Goes to an address of the gateway, or to a path of it.
    pub(crate) async fn go(&mut self, gateway: &Gateway, to: &str) -> Response {
        let path = to.strip_prefix(PUBLIC_URL).unwrap_or(to);
        let host = PUBLIC_URL.strip_prefix("https://").unwrap();
        let request = client().get(gateway.url(path)).header(HOST, host).header("sec-fetch-mode", "navigate");
        let request = request.header("sec-fetch-site", "cross-site").header("sec-fetch-dest", "document");
        let response = request.header(COOKIE, self.cookie()).send().await.unwrap();
        self.keep(response.headers());
        response
    }

    /// Begins to sign in, and comes back from the issuer; returns the address to which the issuer sends it.
    pub(crate) async fn come_back(&mut self, gateway: &Gateway, path: &str) -> String {
        let begun = self.go(gateway, path).await;
        assert_eq!(begun.status(), StatusCode::SEE_OTHER, "{}", begun.text().await.unwrap());
        let answered = client().get(location(&begun)).send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::FOUND, "{}", answered.text().await.unwrap());
        location(&answered)
    }

    /// Signs in, and returns the last response: a redirect to a page of the gateway, or the reason of a failure.
    pub(crate) async fn sign_in(&mut self, gateway: &Gateway) -> Response {
        let back = self.come_back(gateway, "/auth/login").await;
        self.go(gateway, &back).await
    }

    /// Returns a browser that has signed in.
    pub(crate) async fn signed_in(gateway: &Gateway) -> Self {
        let mut browser = Self::default();
        let finished = browser.sign_in(gateway).await;
        assert_eq!(finished.status(), StatusCode::SEE_OTHER, "{}", finished.text().await.unwrap());
        browser
    }

    /// Returns a request that a page of the gateway sends.
    pub(crate) fn post(&self, gateway: &Gateway, path: &str, body: &Value) -> RequestBuilder {
        let request = client().post(gateway.url(path)).header(COOKIE, self.cookie()).json(body);
        request.header("origin", PUBLIC_URL).header("sec-fetch-site", "same-origin")
    }

    /// Asks by a page of the gateway, and gives the status and the answer.
    pub(crate) async fn ask(&self, gateway: &Gateway, query: &str) -> (StatusCode, Value) {
        let response = self.post(gateway, "/graphql", &json!({ "query": query })).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Opens a socket by a page of an origin; the gateway acknowledges it if the session counts.
    pub(crate) async fn socket_of(&self, gateway: &Gateway, origin: &str) -> Result<Socket, tungstenite::Error> {
        let mut request = handshake(gateway.address, "graphql-transport-ws");
        request.headers_mut().insert("cookie", self.cookie().parse().unwrap());
        if !origin.is_empty() {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let mut socket = Socket::connect(request).await?;
        socket.send(json!({"type": "connection_init"})).await;
        Ok(socket)
    }

    /// Opens a socket by a page of the gateway, whose connection is acknowledged.
    pub(crate) async fn socket(&self, gateway: &Gateway) -> Socket {
        let mut socket = self.socket_of(gateway, PUBLIC_URL).await.unwrap();
        let acknowledged = socket.message().await;
        assert_eq!(acknowledged["type"], "connection_ack", "{acknowledged}");
        socket
    }

    /// Returns what the gateway tells its own page about the session.
    pub(crate) async fn session(&self, gateway: &Gateway) -> Value {
        let request = client().get(gateway.url("/auth/session")).header(COOKIE, self.cookie());
        request.header("sec-fetch-site", "same-origin").send().await.unwrap().json().await.unwrap()
    }

    /// Signs out by a page of the gateway, and gives the status and the answer.
    pub(crate) async fn sign_out(&mut self, gateway: &Gateway) -> (StatusCode, Value) {
        let response = self.post(gateway, "/auth/logout", &json!({})).send().await.unwrap();
        self.keep(response.headers());
        (response.status(), response.json().await.unwrap())
    }
}
