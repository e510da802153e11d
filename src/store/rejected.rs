//! What came in and could not be read, kept whole.

use sqlx::QueryBuilder;
use time::OffsetDateTime;

use super::named_row::named_row;
use super::{Ledger, StoreError};
use crate::event::{Direction, IngestSource, Page, PageRequest, Timestamp};

/// Something that could not be read.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The configured name of the Okta org.
    pub org: String,
    /// The way by which it came.
    pub source: IngestSource,
    /// Why it could not be read.
    pub reason: String,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Its place in an import; None for what came otherwise.
    pub place: Option<RecordPlace>,
}

/// The place of a record in an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The file, as it was named to the import; None for a body of a request.
    pub file: Option<String>,
    /// The line on which the record starts, from 1.
    pub line: u64,
}

impl Ledger {
    /// Keeps what could not be read; the same bytes sent again are counted and kept once.
    ///
    /// # Errors
    /// The database's.
    pub async fn reject(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        let places = || rejections.iter().map(|one| one.place.as_ref());
        sqlx::query(
            "INSERT INTO rejected (org, source, reason, raw, digest, times, file, line) \
             SELECT org, min(source), min(reason), raw, sha256(raw), count(*), \
             (array_agg(file ORDER BY ordinal))[1], (array_agg(line ORDER BY ordinal))[1] \
             FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bytea[], $5::text[], $6::bigint[]) \
             WITH ORDINALITY AS r (org, source, reason, raw, file, line, ordinal) \
             GROUP BY org, raw ORDER BY org, sha256(raw) \
             ON CONFLICT (org, digest) DO UPDATE SET times = rejected.times + excluded.times",
        )
        .bind(rejections.iter().map(|one| one.org.as_str()).collect::<Vec<_>>())
        .bind(rejections.iter().map(|one| one.source.code()).collect::<Vec<_>>())
        .bind(rejections.iter().map(|one| one.reason.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
        .bind(rejections.iter().map(|one| one.raw.as_slice()).collect::<Vec<_>>())
        .bind(places().map(|place| place?.file.as_deref()).collect::<Vec<_>>())
        .bind(places().map(|place| i64::try_from(place?.line).ok()).collect::<Vec<_>>())
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// A page of what was rejected, the newest first. It has fewer items than it has room for where their bytes are more
    /// than a page may hold.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections(
        &self,
        wanted: &RejectionFilter,
        request: &PageRequest<i64>,
    ) -> Result<Page<StoredRejection>, StoreError> {
        let mut query = QueryBuilder::new("SELECT id, octet_length(raw)::bigint FROM rejected WHERE true");
        if let Some(org) = &wanted.org {
            query.push(" AND org = ").push_bind(org.clone());
        }
        if let Some(ids) = &wanted.ids {
            query.push(" AND id = ANY(").push_bind(ids.clone()).push(")");
        }
        for (side, bound) in [("<", request.bounds.after), (">", request.bounds.before)] {
            if let Some(bound) = bound {
                query.push(format!(" AND id {side} ")).push_bind(bound);
            }
        }
        query.push(match request.direction {
            Direction::Forward => " ORDER BY id DESC LIMIT ",
            Direction::Backward => " ORDER BY id LIMIT ",
        });
        query.push_bind(i64::try_from(request.size).unwrap_or(i64::MAX).saturating_add(1));
        let found: Vec<(i64, i64)> = query.build_query_as().fetch_all(&self.reads).await?;
        let ids: Vec<i64> = found.iter().map(|(id, _)| *id).collect();
        let fitting = fitting(&found).min(request.size);
        let items = self.rejections_with(ids.get(..fitting).unwrap_or(&ids)).await?;
        // What did not fit is more of the list.
        let cut = PageRequest { size: fitting, ..request.clone() };
        let missing = ids.len() > fitting;
        let mut page = Page::from_read(items, &cut);
        match request.direction {
            Direction::Forward => page.has_next |= missing,
            Direction::Backward => page.has_previous |= missing,
        }
        Ok(page)
    }

    /// What was rejected under these ids, in any order; None for those that no longer fit into one answer.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections_at(&self, ids: &[i64]) -> Result<Vec<(i64, Option<StoredRejection>)>, StoreError> {
        let statement = "SELECT id, octet_length(raw)::bigint FROM rejected WHERE id = ANY($1)";
        let found: Vec<(i64, i64)> = sqlx::query_as(statement).bind(ids).fetch_all(&self.reads).await?;
        let (here, left) = found.split_at_checked(fitting(&found)).unwrap_or((&found, &[]));
        let here: Vec<i64> = here.iter().map(|(id, _)| *id).collect();
        let items = self.rejections_with(&here).await?.into_iter().map(|item| (item.id, Some(item)));
        Ok(items.chain(left.iter().map(|(id, _)| (*id, None))).collect())
    }

    /// Those with these ids, in their order.
    async fn rejections_with(&self, ids: &[i64]) -> Result<Vec<StoredRejection>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, org, source, reason, raw, times, received_at, file, line FROM unnest($1::bigint[]) WITH ORDINALITY \
             AS wanted (id, place) JOIN rejected USING (id) ORDER BY place",
        )
        .bind(ids)
        .fetch_all(&self.reads)
        .await?;
        Ok(rows.into_iter().map(StoredRejection::from).collect())
    }

    /// Returns which of these ids nothing was rejected under, by a filter.
    ///
    /// # Errors
    /// The database's.
    pub async fn missing_rejections(&self, wanted: &RejectionFilter) -> Result<Vec<i64>, StoreError> {
        let Some(ids) = &wanted.ids else { return Ok(Vec::new()) };
        let statement = "SELECT id FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (id, place) WHERE NOT EXISTS \
                         (SELECT FROM rejected r WHERE r.id = wanted.id AND ($2::text IS NULL OR r.org = $2)) \
                         ORDER BY place";
        Ok(sqlx::query_scalar(statement).bind(ids).bind(&wanted.org).fetch_all(&self.reads).await?)
    }

    /// Forgets what was rejected under these ids; gives how many there were.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_rejections(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM rejected WHERE id = ANY($1)").bind(ids).execute(&self.writes).await?;
        Ok(done.rows_affected())
    }
}

/// How many bytes of what was rejected one answer holds, if it is not a single one.
const ANSWER_BYTES: i64 = 32 << 20;

/// How many of these ids and sizes fit into an answer, one at least.
fn fitting(found: &[(i64, i64)]) -> usize {
    let sizes = found.iter().scan(0_i64, |sum, (_, size)| {
        *sum = sum.saturating_add(*size);
        Some(*sum)
    });
    sizes.take_while(|sum| *sum <= ANSWER_BYTES).count().max(1).min(found.len())
}

/// Which of what was rejected.
#[derive(Clone, Debug, Default)]
pub struct RejectionFilter {
    /// Of this org.
    pub org: Option<String>,
    /// With these ids.
    pub ids: Option<Vec<i64>>,
}

/// Something that could not be read, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRejection {
    /// Its number.
    pub id: i64,
    /// The configured name of the Okta org.
    pub org: String,
    /// The way by which it came.
    pub source: IngestSource,
    /// Why it could not be read.
    pub reason: String,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// How often it has come.
    pub times: i64,
    /// When it came first.
    pub received_at: Timestamp,
    /// Its place in an import; None for what came otherwise.
    pub place: Option<RecordPlace>,
}

named_row! {
    struct Row {
        id: i64,
        org: String,
        source: i16,
        reason: String,
        raw: Vec<u8>,
        times: i64,
        received_at: OffsetDateTime,
        file: Option<String>,
        line: Option<i64>,
    }
}

impl From<Row> for StoredRejection {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            org: row.org,
            source: IngestSource::from_code(row.source).unwrap_or(IngestSource::EventHook),
            reason: row.reason,
            raw: row.raw,
            times: row.times,
            received_at: row.received_at.into(),
            place: row.line.and_then(|line| Some(RecordPlace { file: row.file, line: u64::try_from(line).ok()? })),
        }
    }
}
