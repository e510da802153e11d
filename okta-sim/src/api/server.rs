//! The HTTP server of the APIs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{self, Scope};
use super::fault::{Fault, Faults};
use super::link::Links;
use super::rate::{RateLimit, Rates};
use super::refusal::Refusal;
use super::{ApiOptions, AppDirectory, Org, apps, lock, logs, oauth};
use crate::system_log::SystemLog;

/// The number of recent requests that are remembered.
const REMEMBERED: usize = 100_000;

/// The maximum size of a request's body.
const BODY: usize = 64 << 10;

/// The kinds of requests, each with its own rate limit and faults.
const LOGS: &str = "/api/v1/logs";
const APPS: &str = "/api/v1/apps";
const TOKEN: &str = "/oauth2/v1/token";

/// A received request.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The time.
    pub at: OffsetDateTime,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// The status of the response.
    pub status: u16,
}

/// The received requests.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<VecDeque<SeenRequest>>);

/// The running APIs of an org. They end when all clones are dropped.
#[derive(Clone, Debug)]
pub struct OktaApi {
    org: Arc<Org>,
    address: SocketAddr,
    _end: Arc<DropGuard>,
}

impl OktaApi {
    /// Starts the APIs on a listener.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(
        listener: TcpListener,
        log: SystemLog,
        apps: AppDirectory,
        options: ApiOptions,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let org = Arc::new(Org {
            rates: Rates::new(options.rate),
            options,
            log,
            apps,
            faults: Faults::default(),
            tokens: oauth::IssuedTokens::default(),
            nonces: super::dpop::Nonces::default(),
            links: Links::default(),
            seen: Seen::default(),
        });
        let end = CancellationToken::new();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&org));
        let ended = end.clone();
        tokio::spawn(async move {
            tokio::select! {
                // The server also ends if it can no longer accept connections.
                _ = async { axum::serve(listener, router).await } => {}
                () = ended.cancelled() => {}
            }
        });
        Ok(Self { org, address, _end: Arc::new(end.drop_guard()) })
    }

    /// Returns the URL: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address of the APIs.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the System Log.
    pub fn log(&self) -> &SystemLog {
        &self.org.log
    }

    /// Returns the application instances.
    pub fn apps(&self) -> &AppDirectory {
        &self.org.apps
    }

    /// Injects a fault into the next requests for the System Log.
    pub fn fail_logs(&self, fault: Fault, times: usize) {
        self.org.faults.add(LOGS, fault, times);
    }

    /// Injects a fault into the next requests for applications.
    pub fn fail_apps(&self, fault: Fault, times: usize) {
        self.org.faults.add(APPS, fault, times);
    }

    /// Injects a fault into the next requests for access tokens.
    pub fn fail_tokens(&self, fault: Fault, times: usize) {
        self.org.faults.add(TOKEN, fault, times);
    }

    /// Makes all existing links invalid; following one returns 400.
    pub fn expire_links(&self) {
        self.org.links.expire();
    }

    /// Makes all existing access tokens invalid.
    pub fn revoke_tokens(&self) {
        self.org.tokens.revoke();
    }

    /// Makes the org require a new nonce in proofs of possession.
    pub fn renew_nonce(&self) {
        self.org.nonces.renew();
    }

    /// Changes the rate limit.
    pub fn limit_rate(&self, limit: RateLimit) {
        self.org.rates.set(limit);
    }

    /// Uses up requests for the System Log, as another client with the same token would.
    pub fn use_up_logs(&self, requests: u32) {
        self.org.rates.take(LOGS, requests, self.org.now());
    }

    /// Returns the last 100,000 requests, the oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        lock(&self.org.seen.0).iter().cloned().collect()
    }
}

async fn answer(State(org): State<Arc<Org>>, request: Request) -> Response {
    let at = OffsetDateTime::now_utc();
    let (parts, body) = request.into_parts();
    let mut headers = HeaderMap::new();
    let answered = answer_request(&org, &parts, body, &mut headers).await;
    let mut response = match answered {
        Ok(Answer::Page(body)) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Answer::Broken) => Response::new(broken_body()),
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in &headers {
        response.headers_mut().append(name, value.clone());
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    if let Some(date) = http_date(org.now()) {
        response.headers_mut().insert(DATE, date);
    }
    let mut seen = lock(&org.seen.0);
    if seen.len() >= REMEMBERED {
        seen.pop_front();
    }
    let query = parts.uri.query().unwrap_or_default().to_owned();
    seen.push_back(SeenRequest { at, path: parts.uri.path().to_owned(), query, status: response.status().as_u16() });
    response
}

enum Answer {
    Page(String),
    Broken,
}

async fn answer_request(org: &Org, request: &Parts, body: Body, headers: &mut HeaderMap) -> Result<Answer, Refusal> {
    let (kind, method) = match request.uri.path() {
        LOGS => (LOGS, Method::GET),
        APPS => (APPS, Method::GET),
        TOKEN => (TOKEN, Method::POST),
        _ => return Err(Refusal::api(StatusCode::NOT_FOUND, "E0000007", "Not found", "there is no such resource")),
    };
    if request.method != method {
        return Err(Refusal::api(
            StatusCode::METHOD_NOT_ALLOWED,
            "E0000022",
            "The endpoint does not support the provided HTTP method",
            "",
        ));
    }
    let standing = org.rates.take(kind, 1, org.now());
    match org.faults.next(kind) {
        None => {}
        Some(Fault::NoAnswer) => std::future::pending::<()>().await,
        Some(Fault::BrokenAnswer) => return Ok(Answer::Broken),
        Some(Fault::TooManyRequests) => {
            standing.tell(headers);
            return Err(Refusal::too_many());
        }
        Some(Fault::TooManyAtOnce) => {
            standing.concurrent().tell(headers);
            return Err(Refusal::too_many());
        }
        Some(Fault::RedirectTo(address)) => return Err(Refusal::redirect(&format!("http://{address}{kind}"))),
        Some(Fault::Status(401)) => return Err(Refusal::invalid_token("")),
        Some(Fault::Status(403)) => return Err(Refusal::forbidden("")),
        Some(Fault::Status(status)) => {
            return Err(Refusal::internal(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)));
        }
    }
    if org.options.errors > 0.0 && rand::rng().random_bool(org.options.errors.min(1.0)) {
        return Err(Refusal::internal(StatusCode::INTERNAL_SERVER_ERROR));
    }
    standing.tell(headers);
    if standing.exceeded {
        return Err(Refusal::too_many());
    }
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let url = format!("http://{host}{kind}");
    let linked = org.options.link_origin.as_ref().map_or_else(|| url.clone(), |origin| format!("{origin}{kind}"));
    let parameters = reqwest::Url::parse(&format!("http://query/?{}", request.uri.query().unwrap_or_default()))
        .map_err(|_| Refusal::validation("the query cannot be read"))?;
    let parameters: Vec<_> = parameters.query_pairs().into_owned().collect();
    let page = match kind {
        TOKEN => {
            let body = to_bytes(body, BODY).await.unwrap_or_default();
            oauth::token(org, &url, &request.headers, &String::from_utf8_lossy(&body))?
        }
        APPS => {
            access::check(org, request, &url, Scope::ReadApps)?;
            apps::list(org, &linked, &parameters, headers)?
        }
        _ => {
            access::check(org, request, &url, Scope::ReadLogs)?;
            logs::list(org, &linked, &parameters, headers)?
        }
    };
    Ok(Answer::Page(page))
}

/// Creates a body that breaks off.
fn broken_body() -> Body {
    let pieces = futures_util::stream::unfold(0, |sent| async move {
        match sent {
            0 => Some((Ok(Bytes::from_static(b"[{\"uuid\":")), 1)),
            1 => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(std::io::Error::other("broken on demand")), 2))
            }
            _ => None,
        }
    });
    Body::from_stream(pieces)
}

/// Formats a time for HTTP headers.
fn http_date(moment: OffsetDateTime) -> Option<HeaderValue> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    HeaderValue::from_str(&moment.to_offset(time::UtcOffset::UTC).format(format).ok()?).ok()
}
