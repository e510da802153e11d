//! Counts over a log of many months: statements over parts of it add up to what a single statement would return.

use std::collections::BTreeMap;

use sluice::event::{BucketLength, Dimension, HistogramRequest, HistogramStep, Stretch, Timestamp, TopRequest};
use sluice::store::Store;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

use crate::database::{TestDatabase, everything};
use crate::many_months::{PER_MONTH, SOME, fill, truth};

#[tokio::test]
async fn counts_that_are_added_up_over_windows_are_what_one_statement_would_give() {
    let database = TestDatabase::new().await;
    fill(&database.pool, SOME).await;
    let store = database.store();
    let head = store.head().await.unwrap();
    let text = "coalesce(start, '') || ' ' || coalesce(key, '-') || ' ' || coalesce(label, '-') || ' ' || count";
    for (by, key, name) in [
        (Dimension::Admin, "admin_id", "admin_display_name"),
        (Dimension::User, "user_id", "user_display_name"),
        (Dimension::Outcome, "outcome_result", "NULL"),
    ] {
        let label = format!("(array_agg({name}::text ORDER BY published DESC, position))[1]");
        let label =
            if name == "NULL" { "NULL".to_owned() } else { format!("CASE WHEN {key} IS NOT NULL THEN {label} END") };
        let sql = format!(
            "SELECT {text} FROM (SELECT NULL AS start, {key} AS key, {label} AS label, count(*) AS count FROM truth \
             GROUP BY 2 ORDER BY 4 DESC, 2 LIMIT 30) t"
        );
        let expected: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap();
        let found = store.top(&everything(), &top(by, 30), head).await.unwrap();
        let found = found.tallies.iter().map(|one| told(None, one.key.as_deref(), one.label.as_deref(), one.count));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{by:?}");
        check_histogram(&store, &database.pool, by, key).await;
    }
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let borders = ["2009-02-01T00:00:00Z", "2010-11-11T00:00:00Z", "2012-01-01T00:00:00Z"].map(at);
    let stretches: Vec<_> =
        borders.windows(2).map(|two| Stretch { from: two[0], until: two[1], is_verified: false }).collect();
    let counts = store.count_stretches("acme", &stretches, &["type.1", "type.2"]).await.unwrap();
    for (stretch, count) in stretches.iter().zip(counts) {
        let within = format!(
            "published >= '{}' AND published < '{}'",
            stretch.from.text().as_str(),
            stretch.until.text().as_str()
        );
        let missed = format!("{within} AND position % 2 = 1 AND event_type IN ('type.1', 'type.2')");
        let expected = [truth(&database, within).await.len(), truth(&database, missed).await.len()];
        let found = [count.events, count.missed_by_hooks].map(|count| usize::try_from(count).unwrap());
        assert_eq!(found, expected);
    }
}

/// A request for the most frequent keys of a dimension.
pub(crate) fn top(by: Dimension, first: usize) -> TopRequest {
    TopRequest { by, search: None, with_known: false, first, after: None, with_total: true }
}

/// A request for a histogram by month.
pub(crate) fn by_month(by: Option<Dimension>) -> HistogramRequest {
    let step = HistogramStep::Length(BucketLength::Month);
    HistogramRequest { step, by, keys: 3, time_zone: "Asia/Tokyo".to_owned() }
}

/// Compares a histogram by month with a statement over the whole log: each bucket, and each series in it.
async fn check_histogram(store: &Store, pool: &PgPool, by: Dimension, key: &str) {
    let head = store.head().await.unwrap();
    let found = store.histogram(&everything(), &by_month(Some(by)), head).await.unwrap().unwrap();
    assert_eq!(found.counts.iter().sum::<i64>(), i64::from(SOME * PER_MONTH));
    let others = found.series.iter().filter(|series| series.is_other).count();
    for (bucket, edges) in found.edges.windows(2).enumerate() {
        let [from, until] = [edges[0], edges[1]].map(|edge| edge.text().as_str().to_owned());
        let sql = format!(
            "SELECT {key}::text, count(*) FROM truth WHERE published >= '{from}' AND published < '{until}' GROUP BY 1"
        );
        let mut expected: BTreeMap<Option<String>, i64> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap().into_iter().collect();
        assert_eq!(found.counts[bucket], expected.values().sum::<i64>(), "{by:?} {from}");
        for series in found.series.iter().filter(|series| !series.is_other) {
            assert_eq!(series.counts[bucket], expected.remove(&series.key).unwrap_or_default(), "{by:?} {from}");
        }
        for series in found.series.iter().filter(|series| series.is_other) {
            assert_eq!(series.counts[bucket], expected.values().sum::<i64>(), "{by:?} {from}");
        }
        assert!(others == 1 || expected.is_empty(), "{by:?} {from}: {expected:?}");
    }
}

fn told(start: Option<Timestamp>, key: Option<&str>, label: Option<&str>, count: i64) -> String {
    let start = start.map(|start| start.text().as_str().to_owned()).unwrap_or_default();
    format!("{start} {} {} {count}", key.unwrap_or("-"), label.unwrap_or("-"))
}
