//! Logs of many months: no statement locks all partitions, and a read in several statements returns what a single
//! statement would return.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sluice::event::{
    Cursor, Dimension, Direction, EventColumn, EventColumns, EventOrder, EventOrderField, Filter, PageBounds,
    PageRequest, Position, Rights, Search, Stretch, Timestamp,
};
use sluice::store::Store;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::counts_over_windows::{by_month, top};
use crate::database::{TestDatabase, everything};
use crate::gateway::{Gateway, settings};
use crate::postgres_server::PostgresServer;
use crate::statements::{record, recorded};

/// Number of months (18 years) with which unbounded statements would exhaust PostgreSQL's default number of locks.
const MANY: i32 = 215;

/// Number of months that is too large for one statement.
pub(crate) const SOME: i32 = 40;

/// Number of events in each month.
pub(crate) const PER_MONTH: i32 = 6;

/// Largest number of locks that a statement may take.
const MOST_LOCKS: i64 = 300;

const PAGE: &str = "query ($orderBy: SyncEventOrder, $filter: SyncEventFilter, $first: Int, $after: String, $last: Int, \
                    $before: String) { syncEvents(orderBy: $orderBy, filter: $filter, first: $first, after: $after, \
                    last: $last, before: $before) { nodes { position eventDetails } \
                    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

/// Fills a log with events of some months from 2009 on, and `truth`, a table without partitions, with the same events.
/// Two thirds are appended in order of time, the others out of order. All events happen at midnight, a third of them on
/// the first day of a month, and display names differ from day to day.
pub(crate) async fn fill(pool: &PgPool, months: i32) {
    let events = months * PER_MONTH;
    let sql = format!(
        "SELECT log_add_month(('2009-01-01'::date + n * interval '1 month')::date) FROM generate_series(0, {months} - 1) n;
        INSERT INTO sync_event (position, published, org, uuid, event_type, message, outcome_result, severity, admin_id,
            admin_display_name, user_id, user_display_name, instance_id, application_name, received_at, first_source, words,
            raw)
        SELECT n, ('2009-01-01'::timestamp + month * interval '1 month' + n % 3 * interval '10 days') AT TIME ZONE 'UTC',
            'acme', md5('event ' || n)::uuid, 'type.' || n % 8, 'A message',
            CASE WHEN n % 25 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END, CASE WHEN n % 37 = 0 THEN 'WARN' ELSE 'INFO' END,
            'admin' || n % 10, 'Admin ' || month || n % 3, nullif('user' || n % 50, 'user0'), 'User ' || month || n % 3, '0oa' || n % 20,
            'app' || n % 5, now(), 0, array_to_tsvector(ARRAY['message', CASE WHEN n % 61 = 0 THEN 'rare' ELSE 'usual' END]),
            convert_to('{{\"n\":' || n || '}}', 'UTF8')
        FROM (SELECT n, CASE WHEN n <= {events} * 2 / 3 THEN (n - 1) * 3 / ({PER_MONTH} * 2) ELSE n * 7919 % {months} END
            AS month FROM generate_series(1, {events}) n) e;
        INSERT INTO arrival (org, uuid, position, published, event_hook_at, system_log_at)
        SELECT org, uuid, position, published, CASE WHEN position % 2 = 0 THEN received_at END, received_at FROM sync_event;
        INSERT INTO ingest_tally (org, source, first_arrival_at, last_arrival_at)
        SELECT DISTINCT org, 0, '2000-01-01Z'::timestamptz, now() FROM sync_event;
        INSERT INTO event_type SELECT DISTINCT event_type FROM sync_event;
        UPDATE log_head SET position = {events};
        CREATE TABLE truth AS TABLE sync_event;
        ANALYZE"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_years_of_months_do_not_exhaust_the_locks_of_postgres_as_it_comes() {
    let server = PostgresServer::start().await;
    let database = TestDatabase { url: server.url(), pool: PgPool::connect(&server.url()).await.unwrap() };
    database.store().migrate().await.unwrap();
    let setting: String = sqlx::query_scalar("SHOW max_locks_per_transaction").fetch_one(&database.pool).await.unwrap();
    assert_eq!(setting, "64", "PostgreSQL comes with another setting, so this proves nothing");
    fill(&database.pool, MANY).await;
    let settings = settings(&database);
    let gateway = Gateway::start_over(database, settings).await;
    let events = usize::try_from(MANY * PER_MONTH).unwrap();
    let queries = [
        "{ syncEvents(filter: {search: \"rare\"}, first: 1000) { nodes { position } } }",
        "{ syncEvents(filter: {search: \"absent\"}) { nodes { position } } }",
        "{ syncEvents(filter: {search: \"message\"}) { totalCount { value } nodes { position eventDetails } } }",
        "{ syncEvents(filter: {severities: [WARN]}, orderBy: {field: POSITION, direction: ASC}) { nodes { position } } }",
        "{ syncEvents { histogram(step: {interval: MONTH}, by: ADMIN) { buckets { count } series { key label counts } } } }",
        "{ syncEvents { top(by: USER) { nodes { key label count } totalCount { value } } } }",
    ];
    let questions = (0..32).flat_map(|_| queries).map(|query| gateway.ask(query, json!({})));
    let questions = futures_util::stream::iter(questions).buffered(32).collect::<Vec<_>>();
    let followers = (0..16).map(|number| follow(&gateway, number, events));
    let (answers, followed) = tokio::join!(questions, join_all(followers));
    assert!(!server.log().contains("out of shared memory"), "{}", server.log());
    let failed: Vec<_> = answers.iter().filter(|answer| answer.get("errors").is_some()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {}", failed.len(), answers.len(), failed[0]);
    assert_eq!(answers[2]["data"]["syncEvents"]["totalCount"]["value"], json!(events));
    let expected: Vec<_> = (1..=events).map(|position| position.to_string()).collect();
    for positions in followed {
        assert_eq!(positions, expected, "a subscriber did not catch up");
    }
}

/// Follows the log from its start. An alias in the query gives each subscriber a feed of its own.
async fn follow(gateway: &Gateway, number: usize, events: usize) -> Vec<String> {
    let mut socket = gateway.socket().await;
    let query = "subscription { syncEvents(from: {after: \"0\"}) { events { position as0: position } } }";
    socket.subscribe("1", &query.replace("as0", &format!("as{number}")), json!({})).await;
    let mut positions = Vec::new();
    while positions.len() < events {
        positions.push(socket.event("1").await["position"].as_str().unwrap().to_owned());
    }
    positions
}

/// Filters of the API, each with the equivalent SQL condition.
fn filters() -> Vec<(Value, &'static str)> {
    let names: Vec<_> = (0..12).map(|number| format!("0oa{number}")).collect();
    let long =
        |prefix: &str, first: usize| (first..first + 100).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>();
    vec![
        (json!({}), "true"),
        (json!({"applicationInstances": ["0oa7"]}), "instance_id = '0oa7'"),
        (json!({"applicationInstances": names}), "substr(instance_id, 4)::int < 12"),
        (json!({"applicationInstances": ["none", "nothing"]}), "false"),
        (json!({"applicationInstances": long("0oa", 6)}), "substr(instance_id, 4)::int >= 6"),
        (
            json!({"applicationInstances": long("0oa", 2), "user": {"oktaIds": long("user", 45)}}),
            "substr(instance_id, 4)::int >= 2 AND substr(user_id, 5)::int >= 45",
        ),
        (
            json!({"or": [{"applicationInstances": long("0oa", 18)}, {"user": {"oktaIds": long("user", 48)}}]}),
            "substr(instance_id, 4)::int >= 18 OR substr(user_id, 5)::int >= 48",
        ),
        (json!({"eventTypes": ["type.*"], "outcomes": ["FAILURE"]}), "outcome_result = 'FAILURE'"),
        (json!({"severities": ["WARN"]}), "severity = 'WARN'"),
        (json!({"search": "rare"}), "position % 61 = 0"),
        (
            json!({"or": [{"user": {"oktaIds": ["user1"]}}, {"applications": ["app2"]}]}),
            "user_id = 'user1' OR position % 5 = 2",
        ),
        (
            json!({"published": {"from": "2009-12-01T00:00:00Z", "until": "2011-02-21T00:00:00Z"}}),
            "published >= '2009-12-01Z' AND published < '2011-02-21Z'",
        ),
        (
            json!({"published": {"from": "2011-12-11T00:00:00Z"}, "applications": ["app1", "app3"]}),
            "published >= '2011-12-11Z' AND position % 5 IN (1, 3)",
        ),
    ]
}

/// Returns the positions of the rows of `truth` that a condition selects.
pub(crate) async fn truth(database: &TestDatabase, rest: String) -> Vec<i64> {
    let sql = format!("SELECT position FROM truth WHERE {rest}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap()
}

impl Gateway {
    /// Reads a list page by page from either end, and checks that each page reports correctly whether there are more.
    pub(crate) async fn check_pages(&self, filter: &Value, order: &Value, size: usize, expected: &[i64]) {
        for [count, cursor, has_more, end] in
            [["first", "after", "hasNextPage", "endCursor"], ["last", "before", "hasPreviousPage", "startCursor"]]
        {
            let mut variables = json!({"filter": filter, "orderBy": order});
            variables[count] = size.into();
            let mut seen: Vec<i64> = Vec::new();
            loop {
                let page = self.query_with(PAGE, variables.clone()).await["syncEvents"].clone();
                let nodes = page["nodes"].as_array().unwrap().iter();
                let positions = nodes.map(|node| {
                    let position: i64 = node["position"].as_str().unwrap().parse().unwrap();
                    assert_eq!(node["eventDetails"], json!({"n": position}));
                    position
                });
                let positions: Vec<_> = positions.collect();
                if count == "first" {
                    seen.extend(positions);
                } else {
                    seen.splice(0..0, positions);
                }
                let told = format!("{filter} {order} {count} {size}: {page}");
                assert_eq!(page["pageInfo"][has_more], json!(seen.len() < expected.len()), "{told}");
                if page["pageInfo"][has_more] == false {
                    assert_eq!(seen, expected, "{told}");
                    break;
                }
                variables[cursor] = page["pageInfo"][end].clone();
            }
        }
    }
}

#[tokio::test]
async fn pages_that_are_read_in_windows_are_what_one_statement_would_give() {
    let database = TestDatabase::new().await;
    fill(&database.pool, SOME).await;
    let settings = settings(&database);
    let gateway = Gateway::start_over(database, settings).await;
    for (filter, condition) in filters() {
        for (field, columns) in [("PUBLISHED", ["published", "position"].as_slice()), ("POSITION", &["position"])] {
            for direction in ["ASC", "DESC"] {
                let order: Vec<_> = columns.iter().map(|column| format!("{column} {direction}")).collect();
                let rest = format!("({condition}) ORDER BY {}", order.join(", "));
                let expected = truth(&gateway.database, rest).await;
                let order = json!({"field": field, "direction": direction});
                for size in [29, 1000] {
                    gateway.check_pages(&filter, &order, size, &expected).await;
                }
            }
        }
        let count = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter, first: 0) { all: totalCount { value isExact } some: totalCount(upTo: 9) { value } } }";
        let counted = gateway.query_with(count, json!({"filter": filter})).await["syncEvents"].clone();
        let expected = truth(&gateway.database, condition.to_owned()).await.len();
        assert_eq!(counted["some"]["value"], json!(expected.min(9)), "{filter}");
        assert_eq!(counted["all"], json!({"value": expected, "isExact": true}), "{filter}");
    }
}

#[tokio::test]
async fn reads_of_the_log_in_windows_are_what_one_statement_would_give() {
    let database = TestDatabase::new().await;
    fill(&database.pool, SOME).await;
    let store = database.store();
    let events = u128::try_from(SOME * PER_MONTH).unwrap();
    for window in [7, 100, 1000] {
        let (mut seen, mut after) = (Vec::new(), Position::START);
        loop {
            let read = store.read_after(after, window, &everything(), true).await.unwrap();
            seen.extend(read.events.iter().map(|event| event.position.get()));
            after = read.through;
            if read.at_end {
                break;
            }
        }
        assert_eq!(seen, (1..=events).collect::<Vec<_>>(), "{window} at once");
        assert_eq!(after.get(), events);
    }
    let positions = [events, 1, 77, events + 9].map(Position::new);
    let mut found: Vec<_> =
        store.events_at(&positions, &everything()).await.unwrap().iter().map(|event| event.position.get()).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 77, events]);
    let details: BTreeMap<_, _> = store.details_at(&positions, &everything()).await.unwrap().into_iter().collect();
    assert_eq!(details.values().collect::<Vec<_>>(), ["{\"n\":1}", "{\"n\":77}", &format!("{{\"n\":{events}}}")]);
    let uuid: Uuid =
        sqlx::query_scalar("SELECT uuid FROM truth WHERE position = 50").fetch_one(&database.pool).await.unwrap();
    assert_eq!(store.events_by_uuid(uuid, None, &everything()).await.unwrap()[0].position.get(), 50);
    assert!(store.events_by_uuid(uuid, Some("other"), &everything()).await.unwrap().is_empty());
}

/// Calls every function of a store that reads events, or that updates them in the background.
async fn use_everything(store: &Store, database: &TestDatabase) {
    let instances = |names: &[&str]| Filter {
        application_instances: Some(names.iter().map(|&name| name.to_owned()).collect()),
        ..Filter::default()
    };
    let searched = Filter { search: Search::parse("absent"), ..Filter::default() };
    let rare = Filter { severities: Some(vec!["NONE".to_owned()]), ..Filter::default() };
    let long: Vec<_> = (0..100).map(|number| format!("none{number}")).collect();
    let lists = Filter {
        application_instances: Some(long.clone()),
        applications: Some(long.iter().cloned().chain((0..5).map(|number| format!("app{number}"))).collect()),
        ..Filter::default()
    };
    let orgs = |names: Vec<String>| Filter { orgs: Some(names), ..Filter::default() };
    let either = Filter { or: Some(vec![lists.clone(), orgs(long)]), ..Filter::default() };
    let few = [Filter::default(), instances(&["none"]), instances(&["none", "0oa1"]), searched, rare];
    let wanted = few.into_iter().chain([lists, either, orgs(vec!["acme".to_owned()])]);
    let wanted: Vec<_> = wanted.map(|filter| Rights::everything().narrow(filter)).collect();
    let middle = Cursor { published: Timestamp::parse("2010-07-01T00:00:00Z").unwrap(), position: Position::new(120) };
    let head = store.head().await.unwrap();
    for filter in &wanted {
        for field in [EventOrderField::Published, EventOrderField::Position] {
            for (is_descending, after) in [(false, None), (true, None), (true, Some(middle))] {
                let request =
                    PageRequest { direction: Direction::Forward, size: 50, bounds: PageBounds { after, before: None } };
                let columns = EventColumns::WITHOUT_DETAILS.with(EventColumn::Details);
                store.page(filter, EventOrder { field, is_descending }, &request, columns).await.unwrap();
            }
        }
        store.count(filter, 1000, head).await.unwrap();
        store.histogram(filter, &by_month(Some(Dimension::User)), head).await.unwrap();
        store.read_after(Position::START, 1000, filter, true).await.unwrap();
    }
    let dimensions = [Dimension::Application, Dimension::ApplicationInstance, Dimension::Admin, Dimension::EventType];
    for by in dimensions {
        store.top(&everything(), &top(by, 10), head).await.unwrap();
    }
    let positions: Vec<_> = (1..=240).map(Position::new).collect();
    store.events_at(&positions, &everything()).await.unwrap();
    store.details_at(&positions, &everything()).await.unwrap();
    store.arrivals_at(&positions).await.unwrap();
    store.events_by_uuid(Uuid::nil(), Some("acme"), &everything()).await.unwrap();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let stretch = Stretch { from: at("2009-01-01T00:00:00Z"), until: at("2030-01-01T00:00:00Z"), is_verified: false };
    store.count_stretches("acme", &[stretch], &["type.1"]).await.unwrap();
    let unnamed = "UPDATE sync_event SET words = NULL WHERE position % 2 = 0; \
                   UPDATE sync_event SET application_name = NULL WHERE instance_id = '0oa3'; \
                   INSERT INTO application_instance (org, instance_id, application, unnamed_count) \
                   VALUES ('acme', '0oa3', 'app3', 99)";
    sqlx::raw_sql(unnamed).execute(&database.pool).await.unwrap();
    assert_eq!(store.name_events().await.unwrap(), 12);
    assert_eq!(store.name_events().await.unwrap(), 0);
    assert_eq!(store.add_words().await.unwrap(), 120);
    assert_eq!(store.add_words().await.unwrap(), 0);
    assert_eq!(store.lock_shortage(16).await.unwrap(), None);
}

#[tokio::test]
async fn no_statement_locks_more_than_a_bounded_number_of_tables_and_indexes() {
    let database = TestDatabase::new().await;
    fill(&database.pool, SOME).await;
    let store = database.store();
    record();
    use_everything(&store, &database).await;
    let mut statements = recorded();
    let unfinished = "SELECT count(*) FROM sync_event WHERE application_name IS NULL OR words IS NULL";
    assert_eq!(database.number(unfinished).await, 0);
    statements.sort_unstable();
    statements.dedup();
    statements.retain(|statement| statement.contains("sync_event") && !statement.contains(';'));
    assert!(statements.len() > 50, "only {} statements were seen", statements.len());
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    for statement in &statements {
        let locks = locks_of(&mut connection, statement).await;
        assert!(locks <= MOST_LOCKS, "{locks} locks: {statement}");
    }
}

/// Returns the number of locks for planning a statement generically and executing it with NULL for every parameter.
async fn locks_of(connection: &mut PgConnection, statement: &str) -> i64 {
    let values = (1..).take_while(|number| statement.contains(&format!("${number}"))).map(|_| "NULL");
    let values = Some(values.collect::<Vec<_>>().join(", ")).filter(|values| !values.is_empty());
    let values = values.map_or_else(String::new, |values| format!("({values})"));
    let sql = format!(
        "DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; BEGIN; PREPARE asked AS {statement}; EXECUTE asked{values}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
    let count = "SELECT count(DISTINCT relation) FROM pg_locks WHERE pid = pg_backend_pid()";
    let locks = sqlx::raw_sql(count).fetch_one(&mut *connection).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(connection).await.unwrap();
    sqlx::Row::get(&locks, 0)
}
