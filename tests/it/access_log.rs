//! The access log of a gateway as a process: a record of each operation, with the documented fields and nothing that is secret.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use futures_util::StreamExt as _;
use okta_sim::{AuthorizationServer, CLIENT_ID};
use reqwest::header::{COOKIE, HOST, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::browser::{PUBLIC_URL, location};
use crate::event_stream::EventStream;
use crate::events::{delivery, sync_event, sync_events};
use crate::gateway::HOOK_SECRET;
use crate::issuers::AUDIENCE;
use crate::process::GatewayProcess;
use crate::sign_in::issuer;
use crate::socket::{Socket, handshake};

pub(crate) const TOKEN: &str = "the token of the auditor";

/// A token that the gateway does not know.
const WRONG_TOKEN: &str = "a token that nobody has";

/// A value that stands in variables, documents, operation names and events, and must not be in the log.
const CANARY: &str = "canary-in-a-value";

/// Settings that switch the access log on.
const ON: (&str, &str) = ("RUST_LOG", "info,sluice::access_log=info");

const FOLLOW: &str = "subscription Follow { syncEvents(from: {after: \"0\"}) { position events { uuid } } }";

/// The records of the access log among the lines of a gateway.
pub(crate) fn records(output: &str) -> Vec<Value> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "sluice::access_log").collect()
}

/// The part of docs/logging.md about the access log.
fn section() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logging.md")).unwrap();
    text.split("\n## ").find(|section| section.starts_with("The access log")).unwrap().to_owned()
}

/// The first column of a table of that part, which has this heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let section = section();
    let table = section.split(&format!("| {heading} |")).nth(1).unwrap().split("\n\n").next().unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(name, _)| name.to_owned()).collect()
}

/// The keys of a record, without those that every line has.
fn fields(record: &Value) -> BTreeSet<String> {
    let everywhere = ["timestamp", "level", "message", "target", "spans"];
    let keys = record.as_object().unwrap().keys();
    keys.filter(|key| !everywhere.contains(&key.as_str())).cloned().collect()
}

/// The cookie that a response sets.
fn set_cookie(response: &Response) -> String {
    response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// The values of these fields in each record with a message.
pub(crate) fn facts(records: &[Value], message: &str, names: &[&str]) -> Vec<Value> {
    let of = records.iter().filter(|one| one["message"] == message);
    of.map(|one| names.iter().map(|name| one[name].clone()).collect()).collect()
}

/// A gateway whose auditor has a token, at which people sign in, and which accepts tokens of an issuer.
pub(crate) struct Watched {
    pub(crate) process: GatewayProcess,
    pub(crate) client: Client,
}

impl Watched {
    pub(crate) async fn start(issuer: &AuthorizationServer) -> Self {
        let settings = format!(
            r#"
            [access]
            public_url = "{PUBLIC_URL}"
            [[readers]]
            name = "auditor"
            token = "env:AUDITOR"
            [[issuers]]
            name = "okta"
            url = "{}"
            audience = "{AUDIENCE}"
            sign_in = {{ client_id = "{CLIENT_ID}", client_secret = "env:SECRET" }}
            [[issuers.rules]]
            claim = "groups"
            has = "owners"
            scopes = ["events:read"]
            "#,
            issuer.url()
        );
        let mut process = GatewayProcess::prepare("data", &settings);
        let secret = okta_sim::CLIENT_SECRET.to_owned();
        process.variables = vec![("AUDITOR", TOKEN.to_owned()), ("SECRET", secret), (ON.0, ON.1.to_owned())];
        process.start_again().await;
        Self { process, client: Client::builder().no_proxy().redirect(Policy::none()).build().unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.address)
    }

    pub(crate) fn post(&self, token: &str, body: &Value) -> RequestBuilder {
        self.client.post(self.url("/graphql")).bearer_auth(token).json(body)
    }

    /// A request that a page of the gateway sends with a cookie.
    fn of_page(&self, path: &str, cookie: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.url(path)).header(COOKIE, cookie).json(body);
        request.header("origin", PUBLIC_URL).header("sec-fetch-site", "same-origin")
    }

    /// Opens an address of the gateway at its public URL, as a browser does.
    pub(crate) fn open(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).header(HOST, PUBLIC_URL.strip_prefix("https://").unwrap())
    }

    /// Begins a sign-in and goes to the issuer. Returns the path with which it sends the browser back, and the browser's cookie.
    pub(crate) async fn begin_sign_in(&self) -> (String, String) {
        let begun = self.open("/auth/login").send().await.unwrap();
        let answered = self.client.get(location(&begun)).send().await.unwrap();
        (location(&answered).strip_prefix(PUBLIC_URL).unwrap().to_owned(), set_cookie(&begun))
    }

    /// Signs a person in, and returns the cookie of the session.
    async fn sign_in(&self) -> String {
        let (back, cookie) = self.begin_sign_in().await;
        let finished = self.open(&back).header(COOKIE, cookie).send().await.unwrap();
        assert_eq!(finished.status(), StatusCode::SEE_OTHER);
        set_cookie(&finished)
    }

    /// Stops the gateway. Returns what it has logged.
    pub(crate) async fn stop(mut self) -> String {
        self.process.signal(Signal::TERM);
        self.process.ended().await;
        self.process.output()
    }

    /// Reads events, and does some things that are refused. Returns what the log must not have.
    async fn use_all(&self) -> Vec<String> {
        let hook = self.client.post(self.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
        let mut event = sync_event("one");
        event["actor"]["displayName"] = json!(CANARY);
        hook.body(delivery(&[event]).to_string()).send().await.unwrap();

        let page = "query Page($search: String) { syncEvents(filter: {search: $search}) { nodes { uuid admin { displayName } } } }";
        let named = self.post(TOKEN, &json!({"query": page, "variables": {"search": CANARY}}));
        let named = named.header("graphql-client-name", "portal").header("graphql-client-version", "4.2");
        assert!(named.send().await.unwrap().text().await.unwrap().contains(CANARY), "the event is found");
        let literal = format!("{{ syncEvent(uuid: \"{CANARY}\") {{ uuid }} }}");
        let batch = json!([{"query": page}, {"query": literal, "operationName": CANARY}]);
        for (token, body) in [(TOKEN, batch), (WRONG_TOKEN, json!({"query": page}))] {
            self.post(token, &body).send().await.unwrap();
        }
        for token in [HOOK_SECRET, "Bearer the token of the auditor"] {
            let import = self.client.post(self.url("/okta/acme/import")).header("authorization", token);
            import.body(sync_event("two").to_string()).send().await.unwrap();
        }
        self.use_sockets().await;
        let cookie = self.use_session().await;
        let session = cookie.split_once('=').unwrap().1.to_owned();
        let secrets = [CANARY, TOKEN, WRONG_TOKEN, HOOK_SECRET, okta_sim::CLIENT_SECRET, "grace@"];
        secrets.into_iter().map(str::to_owned).chain([session]).collect()
    }

    async fn use_sockets(&self) {
        let address = self.process.address;
        let mut socket = Socket::connect(handshake(address, "graphql-transport-ws")).await.unwrap();
        let init = json!({"authorization": format!("Bearer {TOKEN}"), "graphql-client-name": "socket"});
        socket.send(json!({"type": "connection_init", "payload": init})).await;
        assert_eq!(socket.message().await["type"], "connection_ack");
        socket.subscribed("1", FOLLOW, json!({})).await;
        assert_eq!(socket.batch("1").await["position"], "2");
        socket.send(json!({"type": "complete", "id": "1"})).await;
        socket.subscribe("2", "{ viewer { name } }", json!({})).await;
        assert_eq!(socket.message().await["id"], "2");
        let mut wrong = Socket::connect(handshake(address, "graphql-transport-ws")).await.unwrap();
        let init = json!({"authorization": format!("Bearer {WRONG_TOKEN}")});
        wrong.send(json!({"type": "connection_init", "payload": init})).await;
        wrong.hear().await;
    }

    /// Signs in, subscribes by a stream until the sign-out ends it, and asks once more with the cookie, which is returned.
    async fn use_session(&self) -> String {
        let cookie = self.sign_in().await;
        let request = self.of_page("/graphql", &cookie, &json!({"query": FOLLOW}));
        let mut stream = EventStream::open(request.header("accept", "text/event-stream")).await;
        assert_eq!(stream.batch().await.1["events"], json!([]));
        assert_eq!(stream.batch().await.1["position"], "2");
        let signed_out = self.of_page("/auth/logout", &cookie, &json!({})).send().await.unwrap();
        assert_eq!(signed_out.status(), StatusCode::OK);
        assert_eq!(stream.last_answer().await["errors"][0]["extensions"]["code"], "REVOKED");
        let late = self.of_page("/graphql", &cookie, &json!({"query": "{ viewer { name } }"})).send().await.unwrap();
        assert_eq!(late.status(), StatusCode::UNAUTHORIZED);
        cookie
    }
}

#[tokio::test]
async fn every_operation_has_a_record_with_the_documented_fields() {
    let issuer = issuer().await;
    let watched = Watched::start(&issuer).await;
    let secrets = watched.use_all().await;
    let output = watched.stop().await;
    for secret in secrets {
        assert!(!output.contains(&secret), "{secret} is logged: {output}");
    }
    let records = records(&output);
    let facts = |message: &str, names: &[&str]| facts(&records, message, names);
    assert_eq!(
        facts("graph.read", &["operation", "verdict", "reader", "credential", "client", "client_version"]),
        [
            json!(["Page", "ok", "auditor", "reader", "portal", "4.2"]),
            json!(["Page", "ok", "auditor", "reader", null, null]),
            json!([null, "GRAPHQL_VALIDATION_FAILED", "auditor", "reader", null, null]),
            json!([null, "ok", "auditor", "reader", "socket", null]),
        ]
    );
    let reads: Vec<_> = records.iter().filter(|one| one["message"] == "graph.read").collect();
    assert_eq!(reads[0]["document"], reads[1]["document"], "the document is the same");
    assert_eq!(reads[0]["document"].as_str().map(str::len), Some(64));
    assert!(reads[0]["rows"].as_u64() >= Some(1) && reads[0]["database_ms"].as_f64() > Some(0.0), "{}", reads[0]);
    assert!(reads[0]["spans"][0]["id"].is_string(), "{}", reads[0]);
    assert_eq!(
        facts("request.denied", &["verdict", "credential", "reader"]),
        [
            json!(["UNAUTHENTICATED", "token", null]),
            json!(["FORBIDDEN", "reader", "auditor"]),
            json!(["UNAUTHENTICATED", "token", null]),
            json!(["UNAUTHENTICATED", "session", null]),
        ]
    );
    assert_eq!(facts("ingest.import", &["org", "verdict", "events"]), [json!(["acme", "ok", 1])]);
    assert_eq!(
        facts("graph.follow.started", &["operation", "from", "through", "reader", "issuer"]),
        [json!(["Follow", "0", null, "auditor", null]), json!(["Follow", "0", null, "00u1", "okta"])]
    );
    assert_eq!(
        facts("graph.follow.ended", &["through", "events", "verdict", "credential"]),
        [json!(["2", 2, "cancelled", "reader"]), json!(["2", 2, "REVOKED", "session"])]
    );
    for message in ["auth.sign_in", "auth.sign_out"] {
        let found = facts(message, &["reader", "issuer", "credential", "verdict"]);
        assert_eq!(found, [json!(["00u1", "okta", "session", "ok"])], "{message}");
    }
    assert!(records.iter().all(|one| one["address"] == "127.0.0.1"), "{records:?}");

    let written: BTreeSet<_> = records.iter().flat_map(fields).collect();
    assert_eq!(written, documented("field"), "the document has each field, and no other");
    let messages: BTreeSet<_> = records.iter().map(|one| one["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(messages, documented("message"), "the document has each message, and no other");
    let section = section();
    let example = section.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    assert_eq!(fields(&example), fields(reads[0]), "the example of the document is a record of {}", reads[0]);
}

/// A gateway whose standard error nobody reads goes on to answer, and counts what it could not write. As soon as somebody reads, it
/// says so.
#[tokio::test]
async fn a_full_pipe_stops_no_answer() {
    const BATCH: usize = 10;
    const BATCHES: usize = 800;
    let mut gateway = GatewayProcess::prepare("data", "");
    gateway.variables.push((ON.0, ON.1.to_owned()));
    let mut child = gateway.serve().stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let pipe = child.stderr.take().unwrap();
    gateway.wait_until(async |gateway| gateway.status("/readyz").await == Some(StatusCode::OK)).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/graphql", gateway.address);
    let body = json!(vec![json!({"query": "query LongEnoughToFillThePipeSoon { __typename }"}); BATCH]);
    let answers = futures_util::stream::iter(0..BATCHES).map(|_| client.post(&url).json(&body).send());
    let answered = answers
        .buffer_unordered(8)
        .filter(|answer| std::future::ready(answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::OK)));
    assert_eq!(answered.count().await, BATCHES, "every request is answered");
    let dropped = gateway.metric("sluice_access_log_dropped_total").await.unwrap();
    assert!(dropped > 0, "records were dropped");

    let mut lines = BufReader::new(pipe).lines();
    let (mut written, mut told) = (0, 0);
    // The pipe was full, so the loss is told behind the records that waited.
    while written + told < (BATCH * BATCHES) as u64 {
        let line = lines.next_line().await.unwrap().expect("the gateway goes on");
        let line: Value = serde_json::from_str(&line).unwrap();
        written += u64::from(line["target"] == "sluice::access_log");
        told += line["dropped"].as_u64().unwrap_or_default();
    }
    assert_eq!((written + told, told), ((BATCH * BATCHES) as u64, dropped), "each record is written or counted");
    child.kill().await.unwrap();
}

/// A record has all that a client has received, even if the client leaves at once: the gateway counts events when it sends them,
/// and not when it looks for more.
#[tokio::test]
async fn what_a_client_has_received_is_in_the_record_however_soon_it_leaves() {
    const TIMES: usize = 50;
    let mut gateway = GatewayProcess::prepare("data", "");
    gateway.variables.push((ON.0, ON.1.to_owned()));
    gateway.start_again().await;
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/graphql", gateway.address);
    let hook = client.post(format!("http://{}/okta/acme/hooks", gateway.address)).header("authorization", HOOK_SECRET);
    hook.body(delivery(&sync_events("one", 2)).to_string()).send().await.unwrap();
    let mut socket = Socket::open(gateway.address).await;
    for number in 0..TIMES {
        let id = number.to_string();
        socket.subscribed(&id, FOLLOW, json!({})).await;
        assert_eq!(socket.batch(&id).await["position"], "2");
        socket.send(json!({"type": "complete", "id": id})).await;
        let request = client.post(&url).json(&json!({"query": FOLLOW})).header("accept", "text/event-stream");
        let mut stream = EventStream::open(request).await;
        assert_eq!(stream.batch().await.1["events"], json!([]));
        assert_eq!(stream.batch().await.1["position"], "2");
        drop(stream);
    }
    gateway.signal(Signal::TERM);
    gateway.ended().await;
    let ended = facts(&records(&gateway.output()), "graph.follow.ended", &["through", "events"]);
    assert_eq!(ended, vec![json!(["2", 2]); 2 * TIMES]);
}

/// The request's id is in the record, also if `RUST_LOG` leaves out the other lines that have it.
#[tokio::test]
async fn records_have_the_request_id_whatever_other_lines_are_logged() {
    for others in ["info", "warn", "off"] {
        let mut gateway = GatewayProcess::prepare("data", "");
        gateway.variables.push((ON.0, format!("{others},sluice::access_log=info")));
        gateway.start_again().await;
        let client = Client::builder().no_proxy().build().unwrap();
        let request =
            client.post(format!("http://{}/graphql", gateway.address)).header("x-request-id", "of-the-client");
        request.json(&json!({"query": "query Me { viewer { name } }"})).send().await.unwrap();
        let mut socket = Socket::open(gateway.address).await;
        socket.subscribe("1", "query Me { viewer { name } }", json!({})).await;
        assert_eq!(socket.message().await["id"], "1");
        gateway.signal(Signal::TERM);
        gateway.ended().await;
        let output = gateway.output();
        let ids: Vec<_> = records(&output).iter().map(|record| record["spans"].clone()).collect();
        let [by_post, by_socket] = &ids[..] else { panic!("{output}") };
        let span = json!([{"id": "of-the-client", "method": "POST", "route": "/graphql", "name": "request"}]);
        assert_eq!(by_post, &span, "RUST_LOG={others}");
        assert_eq!((&by_socket[0]["method"], by_socket[0]["id"].is_string()), (&json!("GET"), true), "{by_socket}");
        assert_eq!(output.contains("\"message\":\"ready\""), others == "info", "{output}");
    }
}

/// True if a process has the thread of the access log.
fn has_thread(process: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.any(|name| name.trim() == "access log")
}

/// Without `RUST_LOG` the access log writes nothing, counts nothing, and has no thread.
#[tokio::test]
async fn the_access_log_is_off_by_default() {
    for (variable, is_on) in [(None, false), (Some(ON), true)] {
        let mut gateway = GatewayProcess::prepare("data", "");
        gateway.variables.extend(variable.map(|(name, value)| (name, value.to_owned())));
        let mut child = gateway.serve().stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        gateway.wait_until(async |gateway| gateway.status("/readyz").await == Some(StatusCode::OK)).await;
        let client = Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/graphql", gateway.address);
        let answer = client.post(&url).json(&json!({"query": "{ __typename }"})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let process = child.id().unwrap();
        // A thread names itself soon after it was started.
        gateway.wait_until(async |_| has_thread(process) || !is_on).await;
        assert_eq!(has_thread(process), is_on);
        let mut pipe = child.stderr.take().unwrap();
        let gateway_process = Pid::from_raw(process.try_into().unwrap()).unwrap();
        kill_process(gateway_process, Signal::TERM).unwrap();
        let mut output = String::new();
        pipe.read_to_string(&mut output).await.unwrap();
        child.wait().await.unwrap();
        assert_eq!(records(&output).len(), usize::from(is_on), "{output}");
    }
}
