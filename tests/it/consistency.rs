//! What must hold of the log, whatever happened to it.

use serde_json::Value;
use sluice::store::decompress_json;
use sqlx::PgPool;
use uuid::Uuid;

/// Rows of the log's tables that do not agree with each other.
const DISAGREEMENTS: &str = "
    SELECT count(*) FROM arrival a
    FULL JOIN sync_event e ON e.position = a.position
    WHERE a.uuid IS DISTINCT FROM e.uuid OR a.org IS DISTINCT FROM e.org OR a.published IS DISTINCT FROM e.published";

/// Checks that the positions of each era have no gap from its start to its end, that the log has every event once, and
/// that all tables agree. Returns the uuids in the order of the log.
pub(crate) async fn check_log(pool: &PgPool) -> Vec<String> {
    let number = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap();
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT position, uuid::text FROM arrival ORDER BY position").fetch_all(pool).await.unwrap();
    let (positions, uuids): (Vec<i64>, Vec<String>) = rows.into_iter().unzip();
    let head = number("SELECT position FROM log_head").await;
    let ends = "SELECT start, coalesce(lead(previous_end) OVER (ORDER BY start), $1) FROM era ORDER BY start";
    let eras: Vec<(i64, i64)> = sqlx::query_as(ends).bind(head).fetch_all(pool).await.unwrap();
    let expected = eras.iter().flat_map(|(start, end)| start + 1..=*end);
    assert!(positions.iter().copied().eq(expected), "positions are not without a gap in {eras:?}");
    let events = number("SELECT count(DISTINCT uuid) FROM arrival").await;
    assert_eq!(usize::try_from(events), Ok(positions.len()));
    assert_eq!(number(DISAGREEMENTS).await, 0);
    let stored: Vec<(Uuid, Vec<u8>)> =
        sqlx::query_as("SELECT uuid, raw FROM sync_event").fetch_all(pool).await.unwrap();
    for (uuid, raw) in stored {
        let event: Value = serde_json::from_str(&decompress_json(&raw).unwrap()).unwrap();
        assert_eq!(event["uuid"], uuid.to_string());
    }
    let in_instances = number("SELECT count(*) FROM sync_event WHERE instance_id <> ''").await;
    assert_eq!(number("SELECT coalesce(sum(event_count), 0)::bigint FROM application_instance").await, in_instances);
    uuids
}
