//! The statements that an answer takes: as many for a thousand events as for one, and every page a range of an index.

use std::cell::RefCell;
use std::sync::LazyLock;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::database::TestDatabase;
use crate::events::sync_event;
use crate::gateway::{Gateway, settings};

thread_local! {
    /// The statements of this thread, where somebody records them.
    static STATEMENTS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Hands what sqlx tells of statements to the thread that made them. The gateway of a test runs on the test's own thread.
struct ByThread;

impl<S: tracing::Subscriber> Layer<S> for ByThread {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        STATEMENTS.with_borrow_mut(|statements| {
            if let Some(statements) = statements {
                let mut statement = Statement::default();
                event.record(&mut statement);
                statements.push(statement.0);
            }
        });
    }
}

/// Records the statements of this thread from now on.
pub(crate) fn record() {
    // One for the whole process: whether anybody listens is decided for all threads.
    static LISTENS: LazyLock<()> = LazyLock::new(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ByThread)).unwrap();
    });
    LazyLock::force(&LISTENS);
    STATEMENTS.set(Some(Vec::new()));
}

/// What was recorded since it was taken last.
pub(crate) fn recorded() -> Vec<String> {
    STATEMENTS.with_borrow_mut(|statements| statements.replace(Vec::new())).unwrap_or_default()
}

/// The text of a statement: a long one stands beside its summary.
#[derive(Default)]
struct Statement(String);

impl Visit for Statement {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if (field.name() == "db.statement" && !value.is_empty()) || (field.name() == "summary" && self.0.is_empty()) {
            value.clone_into(&mut self.0);
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
    let database = TestDatabase::new().await;
    record();
    let settings = settings(&database);
    let gateway = Gateway::start_over(database, settings).await;
    let events: Vec<_> = (0..200).map(|number| sync_event(&(number % 40).to_string())).collect();
    gateway.deliver(&events).await;
    let statements = async |query: &str, variables: Value| {
        // What runs in the background may come in between: the fewest of several tries are the answer's own.
        let mut fewest = usize::MAX;
        for _ in 0..5 {
            recorded();
            gateway.query_with(query, variables.clone()).await;
            fewest = fewest.min(recorded().len());
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
    // What lies beyond a cursor is looked up once, however often it is asked for.
    let cursor = gateway.query("{ syncEvents(first: 9) { pageInfo { endCursor } } }").await;
    let cursor = json!({"after": cursor["syncEvents"]["pageInfo"]["endCursor"]});
    let page = |info: &str| format!("query ($after: String!) {{ syncEvents(first: 9, after: $after) {{ {info} }} }}");
    let once = statements(&page("pageInfo { hasPreviousPage }"), cursor.clone()).await;
    let often = page("a: pageInfo { hasPreviousPage } b: pageInfo { x: hasPreviousPage y: hasPreviousPage }");
    assert_eq!(statements(&often, cursor.clone()).await, once);
    assert_eq!(statements(&page("pageInfo { hasNextPage }"), cursor).await + 1, once);
    let few = statements(NODES, json!({"ids": [ids[0], mixed[200]]})).await;
    assert!((2..=3).contains(&few), "{few}");
    assert_eq!(statements(NODES, json!({"ids": mixed})).await, few);
}

/// Events of four months: 20 instances, 5 applications, 100 users, 10 admins, 8 types; every 25th failed.
const SEED: &str = "
    INSERT INTO sync_event (position, published, org, uuid, event_type, message, outcome_result, severity, admin_id,
        admin_alternate_id, user_id, user_alternate_id, application_user_alternate_id, instance_id, application_name,
        received_at, first_source, words, raw)
    SELECT n, '2025-01-01Z'::timestamptz + n * interval '3 minutes', 'acme', gen_random_uuid(), 'type.' || n % 8, 'A message',
        CASE WHEN n % 25 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END, 'INFO', 'admin' || n % 10, 'Admin' || n % 10 || '@x.example',
        'user' || n % 100, 'User' || n % 100 || '@x.example', 'appuser' || n % 100, '0oa' || n % 20, 'app' || n % 20 % 5,
        now(), 0, array_to_tsvector(ARRAY['message', 'user' || n % 100]), '{}'
    FROM generate_series(1, 50000) n;
    INSERT INTO arrival (org, uuid, position, published, event_hook_at)
    SELECT org, uuid, position, published, received_at FROM sync_event;
    INSERT INTO event_type SELECT DISTINCT event_type FROM sync_event;
    UPDATE log_head SET position = 50000;
    ANALYZE";

/// Fills a database with events of four months.
pub(crate) async fn seed(database: &TestDatabase) {
    for month in 1..=4 {
        let month = time::Date::from_calendar_date(2025, time::Month::try_from(month).unwrap(), 1).unwrap();
        database.store().add_month(month).await.unwrap();
    }
    sqlx::raw_sql(SEED).execute(&database.pool).await.unwrap();
}

/// What a plan does that grows with the number of events.
fn faults(plan: &Value, faults: &mut Vec<String>) {
    let kind = plan["Node Type"].as_str().unwrap();
    let relation = plan["Relation Name"].as_str().unwrap_or_default();
    // One row each, or a few types.
    let is_small = ["log_head", "partition_change", "event_type"].contains(&relation);
    if (kind.contains("Seq Scan") && !is_small)
        || kind.contains("Sort")
        || kind.contains("Bitmap")
        || kind.contains("Hash")
    {
        faults.push(format!("{kind} {relation}"));
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        self::faults(child, faults);
    }
}

impl TestDatabase {
    /// The plan of a statement for any values.
    async fn generic_plan(&self, statement: &str) -> Value {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let values = (1..).take_while(|number| statement.contains(&format!("${number}"))).map(|_| "NULL");
        let values = values.collect::<Vec<_>>().join(", ");
        let mut run = async |sql: String| sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        // As the gateway's own connections have it.
        let settings = "SET plan_cache_mode = force_generic_plan; SET enable_sort = off; SET enable_bitmapscan = off";
        run(format!("{settings}; SET jit = off; PREPARE page AS {statement}")).await;
        let values = if values.is_empty() { values } else { format!("({values})") };
        let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE page{values}");
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(&mut connection).await.unwrap();
        plan[0]["Plan"].clone()
    }
}

#[tokio::test]
async fn a_page_is_a_range_of_an_index_at_any_depth() {
    let database = TestDatabase::new().await;
    seed(&database).await;
    let settings = settings(&database);
    let gateway = Gateway::start_over(database, settings).await;
    let query = "query ($filter: SyncEventFilter, $orderBy: SyncEventOrder, $after: String) { \
                 syncEvents(filter: $filter, orderBy: $orderBy, after: $after) { nodes { uuid } pageInfo { endCursor } } }";
    record();
    let mut seen = 0;
    for wanted in [
        json!({}),
        json!({"applicationInstances": ["0oa1"]}),
        json!({"applications": ["app1"]}),
        json!({"eventTypes": ["type.1"]}),
        json!({"outcomes": ["FAILURE"]}),
        json!({"user": {"oktaIds": ["user7"]}}),
        json!({"user": {"alternateIds": ["USER7@x.example"]}}),
        json!({"applicationUser": {"alternateIds": ["appuser7"]}}),
        json!({"admin": {"oktaIds": ["admin7"]}}),
        json!({"admin": {"alternateIds": ["admin7@x.example"]}}),
        json!({"applicationInstances": ["0oa1"], "outcomes": ["SUCCESS"], "eventTypes": ["type.1"]}),
    ] {
        for published in [json!(null), json!({"from": "2025-01-20T00:00:00Z", "until": "2025-03-20T00:00:00Z"})] {
            for direction in ["ASC", "DESC"] {
                let mut filter = wanted.clone();
                filter["published"] = published.clone();
                let order = json!({"field": "PUBLISHED", "direction": direction});
                let mut after = Value::Null;
                for depth in 0..3 {
                    recorded();
                    let variables = json!({"filter": filter, "orderBy": order, "after": after});
                    let page = gateway.query_with(query, variables).await["syncEvents"].clone();
                    after = page["pageInfo"]["endCursor"].clone();
                    assert!(!page["nodes"].as_array().unwrap().is_empty(), "{filter} {direction} finds nothing");
                    let statements = recorded();
                    for statement in statements.iter().filter(|statement| statement.contains("LEFT JOIN LATERAL")) {
                        let plan = gateway.database.generic_plan(statement).await;
                        let mut found = Vec::new();
                        faults(&plan, &mut found);
                        assert!(found.is_empty(), "{filter} {direction} {depth}: {found:?}\n{statement}\n{plan:#}");
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen >= 11 * 2 * 2 * 3, "only {seen} statements were seen");
}
