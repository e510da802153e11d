//! Tests that one reader with slow queries at the database does not hold up others.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, select_all};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sluice::auth::Readers;
use sluice::config::Settings;
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::Gateway;
use crate::socket::{Socket, handshake};

const GREEDY: &str = "the greedy reader's token";
const OTHER: &str = "the other reader's token";

/// A query that waits while the test locks the table `rejected`.
const SLOW: &str = "{ ingestion { rejected { nodes { id } } } }";
const QUICK: &str = "{ syncEvents { head nodes { uuid } } }";

/// Slow statements that the database executes, all of which wait for the test's lock.
const SLOW_STATEMENTS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                               AND wait_event_type = 'Lock' AND query LIKE '%rejected%'";

/// Time limit of everything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections that read, and the share of them that one reader gets.
const CONNECTIONS: u32 = 8;
const SHARE: u8 = 5;

/// Two readers. Metrics are the process's, so each test has names of its own.
fn readers(settings: &mut Settings, names: [&str; 2]) {
    let readers = [(names[0], GREEDY), (names[1], OTHER)];
    settings.readers = Readers::new(readers.map(|(name, token)| (name.to_owned(), token.into())).to_vec());
    settings.limits.query_connections = CONNECTIONS;
}

/// An answer to a query.
struct Answered {
    status: StatusCode,
    retry_after: Option<String>,
    answer: Value,
    waited: Duration,
}

impl Answered {
    fn code(&self) -> Option<&str> {
        self.answer.pointer("/errors/0/extensions/code").and_then(Value::as_str)
    }
}

impl Gateway {
    async fn ask_as(&self, token: &str, query: &str) -> Answered {
        ask_at(self.client.clone(), self.url("/graphql"), token.to_owned(), json!({"query": query})).await
    }

    /// Sends a number of slow queries of the greedy reader.
    fn flood(&self, queries: usize) -> Vec<JoinHandle<Answered>> {
        let ask = || ask_at(self.client.clone(), self.url("/graphql"), GREEDY.to_owned(), json!({"query": SLOW}));
        std::iter::repeat_with(|| tokio::spawn(ask())).take(queries).collect()
    }

    /// Waits until a number of slow statements run, after which there must not be more.
    async fn until_slow(&self, number: i64) {
        let waited = async {
            while self.database.number(SLOW_STATEMENTS).await < number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{number} slow statements do not run in time"));
    }

    /// Locks the table `rejected`, so that every query for it waits until the lock is released.
    async fn lock(&self) -> Transaction<'static, Postgres> {
        let mut lock = self.database.pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE rejected IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
        lock
    }

    async fn metrics_as(&self, token: &str) -> String {
        let request = self.client.get(self.url("/metrics")).header("authorization", format!("Bearer {token}"));
        request.send().await.unwrap().text().await.unwrap()
    }
}

async fn ask_at(client: reqwest::Client, url: String, token: String, body: Value) -> Answered {
    let started = Instant::now();
    let request = client.post(url).header("authorization", format!("Bearer {token}")).json(&body);
    let response = request.send().await.unwrap();
    let (status, retry_after) = (response.status(), response.headers().get("retry-after").cloned());
    Answered {
        status,
        retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
        answer: response.json().await.unwrap(),
        waited: started.elapsed(),
    }
}

/// The value of a sample of Prometheus's text format.
fn sample(metrics: &str, name_and_labels: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no {name_and_labels} in {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn one_reader_with_slow_queries_holds_up_nobody_else_and_is_told_to_slow_down() {
    let gateway = Gateway::start_with(|settings| {
        readers(settings, ["greedy", "other"]);
        settings.limits.query_wait_seconds = 1;
        // Too small for the first event, so that a subscriber reads the database to catch up.
        settings.limits.window_bytes = 1;
    })
    .await;
    gateway.deliver(&sync_events("before", 3)).await;
    let lock = gateway.lock().await;
    let flood = gateway.flood(20);
    gateway.until_slow(SHARE.into()).await;
    for _ in 0..20 {
        let answered = gateway.ask_as(OTHER, QUICK).await;
        assert_eq!((answered.status, &answered.answer["errors"]), (StatusCode::OK, &Value::Null));
        let ready = gateway.client.get(gateway.url("/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), StatusCode::OK);
    }
    // A subscriber catches up, and gets what is stored meanwhile.
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
    socket.send(json!({"type": "connection_init", "payload": {"authorization": format!("Bearer {OTHER}")}})).await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    let document = "subscription { syncEvents(from: {after: \"0\"}) { events { position uuid } } }";
    socket.subscribe("1", document, json!({})).await;
    for position in ["1", "2", "3"] {
        assert_eq!(socket.event("1").await["position"], position);
    }
    let event = sync_event("meanwhile");
    gateway.deliver(std::slice::from_ref(&event)).await;
    assert_eq!(socket.event("1").await["uuid"], uuid(&event));
    assert_eq!(gateway.database.number(SLOW_STATEMENTS).await, i64::from(SHARE), "the reader's share");
    // Statements that have waited for too long are refused, and those that run go on.
    let refused = until_refused(&gateway, 20 - usize::from(SHARE)).await;
    lock.rollback().await.unwrap();
    let answers: Vec<_> = join_all(flood).await.into_iter().map(Result::unwrap).collect();
    let (busy, answered): (Vec<_>, Vec<_>) = answers.iter().partition(|answered| answered.code() == Some("BUSY"));
    assert_eq!((busy.len(), answered.len()), (20 - usize::from(SHARE), SHARE.into()));
    for Answered { status, retry_after, answer, waited } in busy {
        assert_eq!((*status, retry_after.as_deref()), (StatusCode::TOO_MANY_REQUESTS, Some("1")), "{answer}");
        assert!(answer.get("data").is_none() && *waited >= Duration::from_secs(1), "{answer}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("within 1 s (limits.query_wait_seconds)"), "{answer}");
    }
    assert!(answered.iter().all(|answered| answered.status == StatusCode::OK && answered.code().is_none()));
    assert!(refused.contains("sluice_read_wait_seconds_count{credential=\"reader:greedy\"}"), "{refused}");
    assert!(sample(&refused, "sluice_reads_refused_total{credential=\"reader:other\"}") < 1.0, "{refused}");
    assert!(sample(&refused, "sluice_read_seconds_count{credential=\"subscriptions\"}") > 0.0, "{refused}");
    let metrics = gateway.metrics_as(OTHER).await;
    let used = |reader| sample(&metrics, &format!("sluice_read_seconds_sum{{credential=\"reader:{reader}\"}}"));
    assert!(used("greedy") > used("other") + 4.0, "{metrics}");
}

/// Waits until a number of the greedy reader's statements were refused; gives the metrics.
async fn until_refused(gateway: &Gateway, number: usize) -> String {
    let waited = async {
        loop {
            let metrics = gateway.metrics_as(OTHER).await;
            let refused = metrics.lines().find_map(|line| {
                line.strip_prefix("sluice_reads_refused_total{credential=\"reader:greedy\"} ")?.parse::<usize>().ok()
            });
            if refused.is_some_and(|refused| refused >= number) {
                break metrics;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waited).await.expect("queries are refused in time")
}

#[tokio::test]
async fn a_single_request_waits_for_itself_and_is_not_refused() {
    let gateway = Gateway::start_with(|settings| {
        readers(settings, ["alone", "absent"]);
        settings.limits.query_wait_seconds = 1;
        settings.limits.query_statements = 2;
    })
    .await;
    let lock = gateway.lock().await;
    let fields: Vec<_> = (0..12).map(|field| format!("f{field}: rejected {{ nodes {{ id }} }}")).collect();
    let asked = json!({"query": format!("{{ ingestion {{ {} }} }}", fields.join(" "))});
    let asking = tokio::spawn(ask_at(gateway.client.clone(), gateway.url("/graphql"), GREEDY.to_owned(), asked));
    gateway.until_slow(2).await;
    // The pause is longer than a statement may wait for a connection; no event marks that it is not refused.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(gateway.database.number(SLOW_STATEMENTS).await, 2);
    // Another request of that reader is answered meanwhile.
    assert_eq!(gateway.ask_as(GREEDY, QUICK).await.status, StatusCode::OK);
    lock.rollback().await.unwrap();
    let answered = asking.await.unwrap();
    assert_eq!((answered.status, &answered.answer["errors"]), (StatusCode::OK, &Value::Null));
}

#[tokio::test]
async fn the_queue_of_a_reader_is_bounded_and_a_refusal_reaches_every_protocol() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.query_connections = 2;
        settings.limits.query_waiting = 1;
        settings.limits.query_wait_seconds = 600;
    })
    .await;
    // Everybody is one credential where there are no readers.
    let lock = gateway.lock().await;
    let mut flood = gateway.flood(1);
    gateway.until_slow(1).await;
    // One of two has to wait, for which there is room, and the other is refused at once.
    let (refused, _, waiting) = timeout(PATIENCE, select_all(gateway.flood(2))).await.expect("one is refused in time");
    flood.extend(waiting);
    let refused = refused.unwrap();
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, Some("BUSY")));
    let facts = json!({"code": "BUSY", "retryAfterSeconds": 1});
    assert_eq!(refused.answer["errors"][0]["extensions"], facts);
    let message = refused.answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("1 statements of this reader wait already (limits.query_waiting)"), "{message}");
    let asked = gateway.client.post(gateway.url("/graphql")).header("accept", "application/graphql-response+json");
    let response = asked.json(&json!({"query": QUICK})).send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    let batch = json!([{"query": QUICK}, {"query": "{ __typename }"}]);
    let batch = ask_at(gateway.client.clone(), gateway.url("/graphql"), String::new(), batch).await;
    assert_eq!(batch.status, StatusCode::OK);
    assert_eq!(batch.answer[0]["errors"][0]["extensions"], facts);
    assert_eq!(batch.answer[1], json!({"data": {"__typename": "Query"}}));
    let mut socket = gateway.socket().await;
    socket.subscribe("1", QUICK, json!({})).await;
    let message = socket.message().await;
    assert_eq!((&message["type"], &message["payload"][0]["extensions"]), (&json!("error"), &facts));
    lock.rollback().await.unwrap();
    for answered in join_all(flood).await {
        assert_eq!(answered.unwrap().status, StatusCode::OK);
    }
}
