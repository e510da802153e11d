//! The statements of readers who may see everything, byte for byte as `statement_texts.sql` holds them: a change of SQL
//! is seen in its commit, and rights cost those nothing who need none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice::auth::{AllowedDocuments, Reader, Readers};
use sluice::config::Settings;
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scopes};
use time::{Date, Duration, OffsetDateTime};

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::gateway::{Gateway, ORG, settings};
use crate::statements::{record, recorded, seed};

/// A page with everything that an event has.
const PAGE: &str = "query Page($filter: SyncEventFilter, $order: SyncEventOrder, $first: Int, $after: String, $last: Int) {
    syncEvents(filter: $filter, orderBy: $order, first: $first, after: $after, last: $last) {
        nodes {
            uuid org position published message eventType severity receivedAt firstReceivedVia receivedVia raw
            outcome { result reason } transaction { oktaId type } client { ipAddress }
            application { oktaId } admin { oktaId alternateId } user { oktaId alternateId } applicationUser { alternateId }
            applicationInstance { label status application { displayName eventCount lastEventAt } }
        }
        pageInfo { hasNextPage hasPreviousPage endCursor }
        head
    }
}";

/// Counts of what matches, in every form.
const COUNTS: &str = "query Counts($filter: SyncEventFilter) {
    syncEvents(filter: $filter) {
        totalCount { value isExact }
        histogram { buckets { from count } }
        series: histogram(by: OUTCOME, timeZone: \"Europe/Berlin\") { series { key count } }
        instances: top(by: APPLICATION_INSTANCE, first: 3) { nodes { key label count } }
        users: top(by: USER, first: 3) { nodes { key label count } }
        eventTypes: top(by: EVENT_TYPE, first: 3) { nodes { key count } }
    }
}";

const SUBSCRIPTION: &str = "subscription CatchUp($filter: SyncEventFilter) {
    syncEvents(filter: $filter, from: {receivedAt: \"2020-01-01T00:00:00Z\"}, batch: 3) { events { uuid message user { oktaId } } position }
}";

const CATALOGUE: &str = "query Catalogue {
    applications(first: 3, search: \"app\") { nodes { name displayName eventCount lastEventAt instances(first: 2) { nodes { label } } } }
    applicationInstances(first: 3) { nodes { instanceId label status syncEvents(first: 1) { nodes { uuid } } } }
    application(org: \"acme\", name: \"app1\") { displayName }
    nodes(ids: [\"Application:acme:app2\", \"ApplicationInstance:acme:0oa2\"]) { id }
}";

/// Filters of every kind, and which of them are asked for counts, too.
fn filters() -> Vec<(&'static str, Value, bool)> {
    let all = json!({
        "applications": ["app1"], "outcomes": ["SUCCESS"], "published": {"from": "2025-01-20T00:00:00Z"},
        "not": {"user": {"oktaIds": ["user7"]}}, "or": [{"severities": ["INFO"]}, {"search": "user8"}],
    });
    vec![
        ("no filter", json!({}), true),
        ("one instance", json!({"applicationInstances": ["0oa1"]}), true),
        ("two instances", json!({"applicationInstances": ["0oa1", "0oa2"]}), false),
        ("a family of event types", json!({"eventTypes": ["type.*"]}), false),
        ("an address", json!({"user": {"alternateIds": ["USER7@x.example"]}}), false),
        ("words", json!({"search": "mess* user7"}), false),
        ("many conditions", all, true),
    ]
}

/// Returns the statements that are recorded in each of several runs of an action: those of background tasks are in some only.
async fn repeated<T>(act: impl AsyncFn() -> T) -> (Vec<String>, T) {
    let count = || {
        let mut times = BTreeMap::<_, usize>::new();
        // The mode of a connection is set where the one that is free has another.
        for statement in
            recorded().iter().map(|one| one.trim()).filter(|one| !one.starts_with("SET ") && !one.starts_with("RESET "))
        {
            *times.entry(statement.to_owned()).or_default() += 1;
        }
        times
    };
    recorded();
    let mut done = act().await;
    let mut least = count();
    for _ in 0..3 {
        done = act().await;
        let seen = count();
        least.retain(|statement, times| {
            *times = (*times).min(seen.get(statement).copied().unwrap_or_default());
            *times > 0
        });
    }
    let statements = least.into_iter().flat_map(|(statement, times)| std::iter::repeat_n(statement, times));
    (statements.collect(), done)
}

/// The statements of a query, and its answer.
async fn statements(gateway: &Gateway, token: &str, query: &str, variables: &Value) -> (Vec<String>, Value) {
    repeated(async || {
        let request = gateway.client.post(gateway.url("/graphql")).bearer_auth(token);
        let request = request.json(&json!({"query": query, "variables": variables}));
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["errors"], Value::Null, "{query} {variables}");
        answer["data"].take()
    })
    .await
}

/// The statements of a subscription that catches up.
async fn statements_of_catch_up(gateway: &Gateway, token: &str, filter: &Value) -> Vec<String> {
    let (statements, ()) = repeated(async || {
        let request = gateway.event_stream(SUBSCRIPTION, &json!({"filter": filter})).bearer_auth(token);
        let mut stream = EventStream::open(request).await;
        // A payload without events may tell first where the subscription stands.
        while stream.batch().await.1["events"] == json!([]) {}
    })
    .await;
    statements
}

/// The statements of every request, by its name.
async fn of_all_requests(gateway: &Gateway, token: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for (name, filter, is_counted) in filters() {
        let order = json!({"field": "PUBLISHED", "direction": "DESC"});
        let mut variables = json!({"filter": filter, "order": order, "first": 3});
        let (first, answer) = statements(gateway, token, PAGE, &variables).await;
        all.insert(format!("{name}, first page"), first);
        variables["after"] = answer["syncEvents"]["pageInfo"]["endCursor"].clone();
        assert!(variables["after"].is_string(), "{name} finds nothing");
        all.insert(format!("{name}, next page"), statements(gateway, token, PAGE, &variables).await.0);
        let last = json!({"filter": filter, "order": {"field": "POSITION", "direction": "ASC"}, "last": 3});
        all.insert(format!("{name}, last page by position"), statements(gateway, token, PAGE, &last).await.0);
        let catch_up = statements_of_catch_up(gateway, token, &filter).await;
        all.insert(format!("{name}, catch-up"), catch_up);
        if is_counted {
            all.insert(
                format!("{name}, counts"),
                statements(gateway, token, COUNTS, &json!({"filter": filter})).await.0,
            );
        }
    }
    all.insert("catalogue".to_owned(), statements(gateway, token, CATALOGUE, &json!({})).await.0);
    all
}

/// The part of the name of a month's partition, and how the file names it: a gateway keeps partitions for this month and
/// the next, and the file says the same in every month.
fn names_of_months(today: Date) -> [(String, &'static str); 2] {
    let first_of_next = today.replace_day(1).unwrap() + Duration::days(31);
    [(today, "_this_month"), (first_of_next, "_next_month")]
        .map(|(day, name)| (format!("_{}_{:02}", day.year(), u8::from(day.month())), name))
}

/// The statements, each text once, below the names of the requests that take it.
fn written(all: &BTreeMap<String, Vec<String>>, months: &[(String, &str)]) -> String {
    let with_months = |statement: &str| {
        months.iter().fold(statement.trim().to_owned(), |text, (month, name)| text.replace(month, name))
    };
    let mut requests = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, statements) in all {
        for statement in statements {
            let times = statements.iter().filter(|other| *other == statement).count();
            let name = if times == 1 { name.clone() } else { format!("{name} ({times} times)") };
            requests.entry(with_months(statement)).or_default().insert(name);
        }
    }
    let mut text =
        "-- The statements of readers who may see everything, below the requests that take them.\n".to_owned();
    for (statement, names) in requests {
        let names = names.into_iter().collect::<Vec<_>>().join("; ");
        _ = writeln!(text, "\n-- {names}\n{statement}");
    }
    text
}

fn reader(name: &str, rows: Rows) -> Reader {
    let rights = Arc::new(Rights::new(Scopes::READING, rows));
    Reader { name: name.to_owned(), token: name.into(), rights, documents: AllowedDocuments::Any }
}

#[tokio::test]
async fn readers_of_everything_send_the_statements_that_the_file_holds() {
    let months = names_of_months(OffsetDateTime::now_utc().date());
    let database = TestDatabase::new().await;
    seed(&database).await;
    record();
    let limited = [Grant { org: ORG.to_owned(), part: GrantedPart::Instances(vec!["0oa1".to_owned()]) }];
    let readers = vec![reader("unlimited", Rows::All), reader("limited", Rows::granted(limited))];
    let settings = Settings { readers: Readers::with_rights(readers), ..settings(&database) };
    let gateway = Gateway::start_over(database, settings).await;
    let text = written(&of_all_requests(&gateway, "unlimited").await, &months);

    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/statement_texts.sql");
    let before = std::fs::read_to_string(&kept).unwrap();
    if before != text {
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("statement_texts.sql");
        std::fs::write(&new, &text).unwrap();
        let (had, has): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), text.lines().collect());
        let gone = had.difference(&has).map(|line| format!("- {line}"));
        let added = has.difference(&had).map(|line| format!("+ {line}"));
        let changes = gone.chain(added).collect::<Vec<_>>().join("\n");
        panic!("the statements changed; if they should: mv {} {}\n{changes}", new.display(), kept.display());
    }
    // A reader with limits sends others, or the file would say nothing of rights.
    let page = json!({"first": 3});
    let (mine, _) = statements(&gateway, "unlimited", PAGE, &page).await;
    let (limited, _) = statements(&gateway, "limited", PAGE, &page).await;
    assert_ne!(mine, limited);
}
