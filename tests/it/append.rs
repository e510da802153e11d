//! Appending events alone and together: two ways into the database, one result.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use sluice::event::{IngestSource, Position, ReceivedEvent, Rights, Timestamp};
use sluice::log::{AppendError, AppendOutcome, AppendRequest, Log, LogOptions, ResumeError};
use sluice::okta::read_event;
use sluice::store::{Appended, Credential, DeliveryRecord, NewEvent, Store};
use sqlx::AssertSqlSafe;
use time::macros::date;
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::TestDatabase;
use crate::events::sync_event;

/// What is appended at once.
struct Step {
    source: IngestSource,
    event: NewEvent,
    delivery: Option<DeliveryRecord>,
}

#[tokio::test]
async fn an_event_leaves_the_same_rows_alone_and_together_with_another() {
    let (alone, together) = (TestDatabase::new().await, TestDatabase::new().await);
    let (store_alone, store_together) = (alone.store(), together.store());
    for store in [&store_alone, &store_together] {
        store.add_month(date!(2026 - 03 - 01)).await.unwrap();
    }
    for step in steps() {
        let deliveries: Vec<_> = step.delivery.into_iter().collect();
        let companion = new_event("acme", &sync_event("companion"), None);
        let mut apart = append(&store_alone, step.source, std::slice::from_ref(&step.event), &deliveries).await;
        apart.extend(append(&store_alone, step.source, std::slice::from_ref(&companion), &[]).await);
        let both = append(&store_together, step.source, &[step.event.clone(), companion], &deliveries).await;
        assert_eq!(apart, both, "{}", step.event.event.raw);
    }
    let tables = [
        "sync_event",
        "arrival",
        "delivery",
        "application",
        "application_instance",
        "log_head",
        "era",
        "ingest_tally",
        "rejected",
    ];
    for table in tables {
        let (alone, together) = (rows(&alone, table).await, rows(&together, table).await);
        assert_eq!(alone, together, "{table}");
        assert_ne!(alone.is_empty(), table != "rejected", "{table}");
    }
}

#[tokio::test]
async fn what_comes_by_different_ways_at_once_waits_for_nothing_else() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    for round in 0..20 {
        // Too different to share a commit: one of them is left to a writer that has just taken the other.
        let appends = [IngestSource::EventHook, IngestSource::SystemLog, IngestSource::Workflows].map(|source| {
            let events = vec![new_event("acme", &sync_event("ways"), None)];
            log.append(AppendRequest { source, events, deliveries: Vec::new() })
        });
        let all = timeout(Duration::from_secs(10), futures_util::future::try_join_all(appends)).await;
        assert_eq!(all.unwrap_or_else(|_| panic!("round {round} hangs")).unwrap().len(), 3);
    }
    let ways = "SELECT array_agg(n ORDER BY n) FROM (SELECT count(*) AS n FROM sync_event GROUP BY first_source) ways";
    let of_ways: Vec<i64> = sqlx::query_scalar(ways).fetch_one(&database.pool).await.unwrap();
    assert_eq!(of_ways, [20, 20, 20], "each came by its own way");
}

#[tokio::test]
async fn a_position_of_an_earlier_era_resumes_in_the_era_of_the_head() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    let events = vec![new_event("acme", &sync_event("one"), None), new_event("acme", &sync_event("two"), None)];
    log.append(AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() }).await.unwrap();
    database.store().new_era("a test restored it").await.unwrap();
    let view = log.view(Rights::everything(), &Credential::Open);
    for kept in [1, 2] {
        let era = view.check_resume(Position::new(kept)).await.unwrap();
        assert_eq!(era, view.head_now().await.unwrap().era_start());
        assert!(era > Position::new(2), "{era}");
    }
    assert!(matches!(view.check_resume(Position::new(3)).await, Err(ResumeError::Lost { .. })));
}

#[tokio::test]
async fn each_request_of_a_shared_commit_is_told_of_its_own_events() {
    let database = TestDatabase::new().await;
    let rule = "ALTER TABLE sync_event ADD CHECK (message IS DISTINCT FROM 'refuse me')";
    sqlx::query(rule).execute(&database.pool).await.unwrap();
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    let shared = sync_event("shared");
    let refused =
        |number: usize| odd_event("refused", &[("/displayMessage", json!("refuse me")), ("/version", json!(number))]);
    let deliveries: [Vec<Value>; 4] = [
        vec![sync_event("a"), refused(0), shared.clone()],
        vec![shared.clone(), sync_event("b"), shared],
        vec![refused(1), refused(2)],
        vec![sync_event("c")],
    ];
    let requests = deliveries.each_ref().map(|events| {
        let first = by_hook("acme", &events[0]);
        let rest = events[1..].iter().map(|event| new_event("acme", event, first.event.delivery));
        let events = std::iter::once(first.event.clone()).chain(rest).collect();
        AppendRequest { source: IngestSource::EventHook, events, deliveries: first.delivery.into_iter().collect() }
    });
    // All of them wait before a writer looks, and are one commit, which the database refuses.
    let told = futures_util::future::try_join_all(requests.map(|request| log.append(request))).await.unwrap();
    let at = Position::new;
    let refusal = |event: &Value| match event {
        event if event["displayMessage"] == "refuse me" => Some(event.to_string()),
        _ => None,
    };
    for (events, outcomes) in deliveries.iter().zip(&told) {
        for (event, outcome) in events.iter().zip(outcomes) {
            let kept = if let AppendOutcome::Refused { raw, .. } = outcome { Some(raw.clone()) } else { None };
            assert_eq!(kept, refusal(event));
        }
    }
    assert_eq!((&told[0][0], &told[0][2]), (&AppendOutcome::Stored(at(1)), &AppendOutcome::Stored(at(2))));
    let again = AppendOutcome::Duplicate(at(2));
    assert_eq!(told[1], [again.clone(), AppendOutcome::Stored(at(3)), again]);
    assert_eq!(told[3], [AppendOutcome::Stored(at(4))]);
    assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2, 1]);
    assert_eq!(rows(&database, "arrival").await.len(), 4);
    // The delivery whose events were all refused brought nothing.
    assert_eq!(rows(&database, "delivery").await.len(), 3);
}

#[tokio::test]
async fn a_position_that_is_just_ahead_is_waited_for() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    let view = log.view(Rights::everything(), &Credential::Open);
    let append = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let events = vec![new_event("acme", &sync_event("one"), None)];
        log.append(AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() }).await
    };
    let (resumed, appended) = tokio::join!(view.check_resume(Position::new(1)), append);
    assert_eq!((resumed.unwrap(), appended.unwrap()), (Position::START, vec![AppendOutcome::Stored(Position::new(1))]));
}

#[tokio::test]
async fn all_requests_of_a_commit_that_fails_are_told_that_the_database_is_away() {
    let database = TestDatabase::new().await;
    let options = LogOptions { retry_for: Duration::from_millis(50), ..LogOptions::default() };
    let log = Log::open(database.store(), &options).await.unwrap();
    database.close().await;
    let requests = (0..4).map(|_| {
        let events = vec![new_event("acme", &sync_event("one"), None)];
        log.append(AppendRequest { source: IngestSource::EventHook, events, deliveries: Vec::new() })
    });
    let told = futures_util::future::join_all(requests).await;
    assert_eq!(told, vec![Err(AppendError::Unavailable); 4]);
    database.open().await;
}

#[tokio::test]
async fn who_is_outrun_with_an_event_stores_the_others_and_finds_it() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.add_month(date!(2026 - 03 - 01)).await.unwrap();
    let [one, shared, other] = ["one", "shared", "other"].map(|name| by_hook("acme", &sync_event(name)));
    let again = NewEvent::new(shared.event.org.clone(), shared.event.event.clone(), other.event.delivery);
    let mut stranger = database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *stranger).await.unwrap();
    // Both look for what is known before anything is.
    let (left, right) = ([one.event, shared.event], [again, other.event]);
    let (left_deliveries, right_deliveries) =
        ([one.delivery.unwrap(), shared.delivery.unwrap()], [other.delivery.unwrap()]);
    let appends = async {
        tokio::join!(
            append(&store, IngestSource::EventHook, &left, &left_deliveries),
            append(&store, IngestSource::EventHook, &right, &right_deliveries),
        )
    };
    let (told, ()) = tokio::join!(appends, async {
        until_appends_wait(&database, 2).await;
        stranger.commit().await.unwrap();
    });
    let mut told = [told.0, told.1];
    told.sort_by_key(|append| append.iter().map(|one| one.0).max());
    let is_new = told.each_ref().map(|append| append.iter().map(|one| one.1).collect::<Vec<_>>());
    let first_was_left = is_new[1] == [false, true];
    assert!(first_was_left || is_new[1] == [true, false], "{told:?}");
    assert_eq!(is_new[0], [true, true]);
    let mut positions: Vec<_> = told.iter().flatten().filter(|one| one.1).map(|one| one.0).collect();
    positions.sort_unstable();
    assert_eq!(positions, [1, 2, 3]);
    assert_eq!(rows(&database, "arrival").await.len(), 3);
    // The delivery of an event that others brought first is kept for the sake of another one, or not at all.
    assert_eq!(rows(&database, "delivery").await.len(), if first_was_left { 3 } else { 2 });
}

#[tokio::test]
async fn an_application_that_is_learned_while_events_wait_is_theirs() {
    const NAME: &str = "/debugContext/debugData/appname";
    let database = TestDatabase::new().await;
    let store = database.store();
    store.add_month(date!(2026 - 03 - 01)).await.unwrap();
    let nameless = || new_event("acme", &odd_event("learned", &[(NAME, json!(null))]), None);
    let otherwise = new_event("acme", &odd_event("learned", &[(NAME, json!("workday"))]), None);
    let first = append(&store, IngestSource::SystemLog, &[nameless()], &[]).await;
    assert_eq!(first, [(1, true, None)]);
    let mut stranger = database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *stranger).await.unwrap();
    let waiting = [nameless(), otherwise];
    let (told, ()) = tokio::join!(append(&store, IngestSource::SystemLog, &waiting, &[]), async {
        until_appends_wait(&database, 1).await;
        let learned = "UPDATE application_instance SET application = 'slack'";
        assert_eq!(sqlx::query(learned).execute(&mut *stranger).await.unwrap().rows_affected(), 1);
        stranger.commit().await.unwrap();
    });
    let slack = || Some("slack".to_owned());
    assert_eq!(told, [(2, true, slack()), (3, true, slack())]);
    let applications = rows(&database, "application").await;
    assert!(applications.iter().all(|row| !row.contains("workday")), "{applications:?}");
}

#[tokio::test]
async fn words_are_kept_with_the_places_where_they_stand() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.add_month(date!(2026 - 03 - 01)).await.unwrap();
    let event = || new_event("acme", &odd_event("words", &[("/target/2/displayName", json!("Grace Ünal"))]), None);
    // Two together, and one alone of an instance that is known by then.
    for events in [vec![event(), event()], vec![event()]] {
        append(&store, IngestSource::SystemLog, &events, &[]).await;
    }
    let words = "'365':4 'acme':1A,2B 'ada':1A 'admin':1A 'application':4 'example':1A,2B,3C 'external':4 \
                 'grace':2B,3C 'in':4 'label':4 'microsoft':4 'office':4 'sync':4 'tenant':3C 'user':3C,4 'words':4 \
                 'ünal':2B";
    let expected = vec![(words.to_owned(), true); 3];
    assert_eq!(kept_words(&database).await, expected);
    // Events that were stored before words were kept get the same.
    sqlx::query("UPDATE sync_event SET words = NULL").execute(&database.pool).await.unwrap();
    assert_eq!((store.add_words().await.unwrap(), store.add_words().await.unwrap()), (3, 0));
    assert_eq!(kept_words(&database).await, expected);
}

/// The words of all events, and whether PostgreSQL would write them so itself.
async fn kept_words(database: &TestDatabase) -> Vec<(String, bool)> {
    let kept = "SELECT words::text, words = words::text::tsvector FROM sync_event";
    sqlx::query_as(kept).fetch_all(&database.pool).await.unwrap()
}

/// Waits until so many appends wait for the log's head.
async fn until_appends_wait(database: &TestDatabase, appends: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock' AND query LIKE '%log_append%'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&database.pool).await.unwrap() < appends {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Appends, and gives what is told but for the clock.
async fn append(
    store: &Store,
    source: IngestSource,
    events: &[NewEvent],
    deliveries: &[DeliveryRecord],
) -> Vec<(u128, bool, Option<String>)> {
    let appended = store.appender().append(source, events, deliveries).await.unwrap();
    let told = |one: Appended| (one.position.get(), one.is_new, one.application_name);
    appended.into_iter().map(told).collect()
}

/// All rows of a table, of which nothing but the moment of the append may differ.
async fn rows(database: &TestDatabase, table: &str) -> Vec<String> {
    const CLOCKS: [&str; 9] = [
        "received_at",
        "event_hook_at",
        "system_log_at",
        "workflows_at",
        "import_at",
        "log_stream_at",
        "started_at",
        "first_arrival_at",
        "last_arrival_at",
    ];
    let sql = format!("SELECT to_jsonb(t)::text FROM {table} t");
    let texts: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap();
    let without_clock = |text: String| {
        let mut row: Value = serde_json::from_str(&text).unwrap();
        for clock in CLOCKS {
            if row[clock].is_string() {
                row[clock] = json!("some time");
            }
        }
        // Each log has a database of its own, and so another number in this column.
        if let Some(database) = row.get_mut("database") {
            *database = json!("its own");
        }
        row.to_string()
    };
    let mut rows: Vec<_> = texts.into_iter().map(without_clock).collect();
    rows.sort();
    rows
}

/// Returns an event of an org as it is appended.
pub(crate) fn new_event(org: &str, event: &Value, delivery: Option<Uuid>) -> NewEvent {
    let raw = event.to_string();
    let json: &RawValue = serde_json::from_str(&raw).unwrap();
    let occurrence = read_event(json, Timestamp::now().plus(time::Duration::days(3650))).unwrap();
    NewEvent::new(org.to_owned(), ReceivedEvent { occurrence, raw }, delivery)
}

fn by_hook(org: &str, event: &Value) -> Step {
    let delivery = DeliveryRecord {
        id: Uuid::now_v7(),
        org: org.to_owned(),
        event_id: Some("an id".to_owned()),
        event_time: Timestamp::parse("2026-03-04T05:06:10Z"),
        source: None,
        headers: "{}".to_owned(),
    };
    let event = new_event(org, event, Some(delivery.id));
    Step { source: IngestSource::EventHook, event, delivery: Some(delivery) }
}

fn by(source: IngestSource, event: &Value) -> Step {
    Step { source, event: new_event("acme", event, None), delivery: None }
}

/// An event of an instance, changed in some places, each a JSON pointer and what stands there then.
fn odd_event(instance: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = sync_event(instance);
    for (pointer, value) in changes {
        *event.pointer_mut(pointer).unwrap() = value.clone();
    }
    event
}

fn steps() -> Vec<Step> {
    const LABEL: &str = "/target/0/alternateId";
    const DISPLAY_NAME: &str = "/target/0/displayName";
    const NAME: &str = "/debugContext/debugData/appname";
    let (known, polled) = (sync_event("one"), sync_event("two"));
    let nothing = json!({"uuid": Uuid::new_v4(), "published": "2026-03-01T00:00:00Z", "eventType": "a.b"});
    let odd = [
        nothing,
        odd_event("one", &[("/target", json!(null))]),
        odd_event("one", &[("/target/0", json!({"type": "AppInstance", "id": ""}))]),
        odd_event("one", &[("/target/0", json!({"type": "AppInstance", "id": "0oaone"}))]),
        odd_event("one", &[("/target/0", json!(null)), (NAME, json!("workday"))]),
        odd_event("one", &[(LABEL, json!("Newer")), ("/published", json!("2026-03-09T00:00:00Z"))]),
        odd_event("one", &[(LABEL, json!("Older")), ("/published", json!("2026-03-01T00:00:00Z"))]),
        odd_event("one", &[(LABEL, json!(null)), ("/published", json!("2026-03-10T00:00:00Z"))]),
        odd_event("one", &[(LABEL, json!("Of the same time"))]),
        odd_event("unnamed", &[("/debugContext", json!(null))]),
        odd_event("unnamed", &[("/debugContext", json!(null))]),
        odd_event("unnamed", &[]),
        odd_event("unnamed", &[("/debugContext", json!(null))]),
        odd_event("unnamed", &[(NAME, json!("of another name"))]),
        odd_event("plain", &[(DISPLAY_NAME, json!(null)), (NAME, json!("plain"))]),
        odd_event("plain", &[(DISPLAY_NAME, json!("Plain and Simple")), (NAME, json!("plain"))]),
        odd_event("plain", &[(DISPLAY_NAME, json!("Renamed")), (NAME, json!("plain"))]),
    ];
    let mut steps = vec![by_hook("acme", &known)];
    steps.extend(odd.iter().map(|event| by_hook("acme", event)));
    steps.extend([
        by_hook("acme", &known),
        by(IngestSource::SystemLog, &known),
        by(IngestSource::SystemLog, &known),
        by(IngestSource::Import, &known),
        by(IngestSource::SystemLog, &polled),
        by_hook("acme", &polled),
        by_hook("other", &known),
        by(IngestSource::EventHook, &sync_event("one")),
    ]);
    steps
}
