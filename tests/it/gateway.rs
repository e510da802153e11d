//! A gateway in this process, as `serve` runs it, on a port and a database of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest::{Body, Client, Response, StatusCode};
use serde_json::{Value, json};
use sluice::auth::{AllowedOrigins, ApiKeys, HookSecrets, Issuers, Readers, Sessions, TrustedProxies};
use sluice::config::{DatabaseLocation, GraphqlSettings, Limits, OrgSettings, Settings};
use sluice::event::EventTypePattern;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::database::TestDatabase;
use crate::events::delivery;
use crate::socket::Socket;

/// Time limit for a gateway's start.
const PATIENCE: Duration = Duration::from_mins(1);

/// The org of the tests, and the secret of its hook.
pub(crate) const ORG: &str = "acme";
pub(crate) const HOOK_SECRET: &str = "the hook's secret";

/// A running gateway. Stopped when it is dropped; `stop` waits for that.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) database: TestDatabase,
    pub(crate) client: Client,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

/// Settings over a database: the org `acme`, which keeps the sync family; open to readers.
pub(crate) fn settings(database: &TestDatabase) -> Settings {
    let event_types = ["application.*", "system.import.*", "group.application_assignment.*", "app.user_management*"];
    let org = OrgSettings {
        url: Some("https://acme.okta.example".to_owned()),
        hook: HookSecrets::new("authorization", vec![HOOK_SECRET.into()]),
        keep_headers: Vec::new(),
        event_types: event_types.into_iter().filter_map(EventTypePattern::parse).collect(),
        privacy: None,
        api: None,
    };
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: DatabaseLocation::Url(database.url.clone()),
        nats: None,
        orgs: BTreeMap::from([(ORG.to_owned(), org)]),
        readers: Readers::default(),
        issuers: Issuers::default(),
        keys: ApiKeys::default(),
        sessions: Sessions::default(),
        public_url: None,
        trusted_proxies: TrustedProxies::default(),
        allowed_origins: AllowedOrigins::default(),
        graphql: GraphqlSettings::default(),
        // Who stops a gateway here does not want to wait for it.
        // Deliveries have a long time limit: a slow machine must not look like an unavailable database.
        limits: Limits { drain_seconds: 0, hook_seconds: 60, ..Limits::default() },
        warnings: Vec::new(),
    }
}

/// A pattern that takes every event type.
pub(crate) fn every_event_type() -> Vec<EventTypePattern> {
    EventTypePattern::parse("*").into_iter().collect()
}

impl Gateway {
    /// Starts one over an empty database.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts one whose settings are changed first.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let database = TestDatabase::new().await;
        let mut settings = settings(&database);
        change(&mut settings);
        Self::start_over(database, settings).await
    }

    /// Starts one whose org keeps every event type.
    pub(crate) async fn start_for_every_event_type() -> Self {
        Self::start_with(|settings| settings.orgs.get_mut(ORG).unwrap().event_types = every_event_type()).await
    }

    /// Starts another gateway over a database, and waits until it is ready.
    pub(crate) async fn start_over(database: TestDatabase, settings: Settings) -> Self {
        let mut gateway = Self::start_unready(database, settings).await;
        let (client, url) = (gateway.client.clone(), gateway.url("/readyz"));
        let is_ready = async {
            while client.get(&url).send().await.unwrap().status() != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            () = is_ready => {}
            ended = &mut gateway.running => {
                // The failure is reported here, so the drop must not report it again.
                gateway.stop.cancel();
                panic!("the gateway ended: {ended:?}")
            }
            () = tokio::time::sleep(PATIENCE) => panic!("the gateway is not ready in time"),
        }
        gateway
    }

    /// Starts another gateway over a database that may be unavailable, and does not wait until it is ready.
    pub(crate) async fn start_unready(database: TestDatabase, settings: Settings) -> Self {
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(sluice::app::run(listener, settings, stop.clone()));
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, database, client, stop, running }
    }

    /// The address of a route.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Delivers events, which must be acknowledged; gives the receipt.
    pub(crate) async fn deliver(&self, events: &[Value]) -> Value {
        let (status, receipt) = self.post_hook(delivery(events).to_string()).await;
        assert_eq!(status, StatusCode::OK, "{receipt}");
        receipt
    }

    /// Posts a body to the hook, with its secret.
    pub(crate) async fn post_hook(&self, body: impl Into<Body>) -> (StatusCode, Value) {
        self.post("hooks", body).await
    }

    /// Posts a body to one of the org's ways in, with its secret.
    pub(crate) async fn post(&self, way: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = self.client.post(self.url(&format!("/okta/acme/{way}"))).header("authorization", HOOK_SECRET);
        let response = request.body(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Asks, and gives the data; there must be no errors.
    pub(crate) async fn query(&self, query: &str) -> Value {
        self.query_with(query, json!({})).await
    }

    /// Asks with variables, and gives the data; there must be no errors.
    pub(crate) async fn query_with(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].clone()
    }

    /// Asks, and gives the whole answer.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        self.post_graphql(json!({"query": query, "variables": variables}).to_string()).await.json().await.unwrap()
    }

    /// Posts a body to `/graphql`.
    pub(crate) async fn post_graphql(&self, body: impl Into<Body>) -> Response {
        let request = self.client.post(self.url("/graphql")).header("content-type", "application/json").body(body);
        request.send().await.unwrap()
    }

    /// The details of an event, byte for byte as they are answered.
    pub(crate) async fn event_details(&self, uuid: &str) -> String {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Event {
            event_details: Box<serde_json::value::RawValue>,
        }
        let query = json!({"query": format!(r#"{{ syncEvent(uuid: "{uuid}") {{ eventDetails }} }}"#)});
        let answer = self.post_graphql(query.to_string()).await.text().await.unwrap();
        let mut answer: BTreeMap<String, BTreeMap<String, Event>> = serde_json::from_str(&answer).unwrap();
        let event = answer.remove("data").and_then(|mut data| data.remove("syncEvent")).unwrap();
        Box::<str>::from(event.event_details).into_string()
    }

    /// Returns true if the gateway exports a metric with these labels, or without any.
    pub(crate) async fn has_metric(&self, name_and_labels: &str) -> bool {
        let answer = self.client.get(self.url("/metrics")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.text().await.unwrap();
        text.lines().any(|line| line.strip_prefix(name_and_labels).is_some_and(|rest| rest.starts_with(' ')))
    }

    /// A WebSocket whose connection is acknowledged.
    pub(crate) async fn socket(&self) -> Socket {
        Socket::open(self.address).await
    }

    /// The newest position.
    pub(crate) async fn head(&self) -> String {
        self.query("{ ingestion { head } }").await["ingestion"]["head"].as_str().unwrap().to_owned()
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap().unwrap();
    }
}

impl Drop for Gateway {
    /// Stops the gateway. One that has ended by itself fails the test, or tells why the test fails.
    fn drop(&mut self) {
        // A gateway that is told to stop may end before this thread looks.
        let has_ended_by_itself = self.running.is_finished() && !self.stop.is_cancelled();
        self.stop.cancel();
        if !has_ended_by_itself {
            return;
        }
        let ended = (&mut self.running).now_or_never();
        let told = format!("the gateway at {} ended by itself: {ended:?}", self.address);
        if std::thread::panicking() { eprintln!("{told}") } else { panic!("{told}") }
    }
}
