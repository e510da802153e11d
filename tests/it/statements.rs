//! How many statements an answer takes: as many for a thousand events as for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::database::TestDatabase;
use crate::events::sync_event;
use crate::gateway::{Gateway, settings};

/// Counts what sqlx tells of statements. The gateway of a test runs on the test's own thread, and so do its statements.
struct Counter(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const GRAPH: &str = "query ($first: Int!) { syncEvents(first: $first) { nodes {
    uuid eventId headers receivedVia eventDetails
    applicationInstance { label application { displayName eventCount } }
} } }";

const NODES: &str =
    "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on SyncEvent { applicationInstance { label } } } }";

#[tokio::test]
async fn an_answer_takes_as_many_statements_for_many_events_as_for_few() {
    // Whoever makes statements first, on a thread where nobody listens, decides that nobody does: until somebody comes.
    let database = TestDatabase::new().await;
    let counted = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Counter(Arc::clone(&counted)));
    let _guard = tracing::subscriber::set_default(subscriber);
    let settings = settings(&database);
    let gateway = Gateway::start_over(database, settings).await;
    let events: Vec<_> = (0..200).map(|number| sync_event(&(number % 40).to_string())).collect();
    gateway.deliver(&events).await;
    let statements = async |query: &str, variables: serde_json::Value| {
        // What runs in the background may come in between: the fewest of several tries are the answer's own.
        let mut fewest = usize::MAX;
        for _ in 0..5 {
            let before = counted.load(Ordering::Relaxed);
            gateway.query_with(query, variables.clone()).await;
            fewest = fewest.min(counted.load(Ordering::Relaxed) - before);
        }
        fewest
    };
    let events = "{ syncEvents(first: 200) { nodes { id applicationInstance { id application { id } } } } }";
    let events = gateway.query(events).await["syncEvents"]["nodes"].clone();
    let ids: Vec<_> = events.as_array().unwrap().iter().map(|event| event["id"].clone()).collect();
    let instances = events.as_array().unwrap().iter().map(|event| event["applicationInstance"]["id"].clone());
    let mixed: Vec<_> = ids.iter().cloned().chain(instances).collect();
    let few = statements(GRAPH, json!({"first": 2})).await;
    assert!(few > 1, "{few} statements were seen, so this counts none");
    assert_eq!(statements(GRAPH, json!({"first": 200})).await, few);
    let few = statements(NODES, json!({"ids": [ids[0], mixed[200]]})).await;
    assert!((2..=3).contains(&few), "{few}");
    assert_eq!(statements(NODES, json!({"ids": mixed})).await, few);
}
