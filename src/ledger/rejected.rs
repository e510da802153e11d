//! Rejections: records that came in but could not be read. They are stored with all their bytes.

use sqlx::QueryBuilder;
use time::OffsetDateTime;

use super::Ledger;
use crate::event::{Direction, IngestSource, Page, PageRequest, Timestamp};
use crate::postgres::named_row::named_row;
use crate::store::StoreError;

/// A rejection to be stored.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The configured name of the Okta org.
    pub org: String,
    /// The way in.
    pub source: IngestSource,
    /// Reason for the rejection.
    pub reason: String,
    /// The record's bytes.
    pub raw: Vec<u8>,
    /// The record's place in an import; None for other ways in.
    pub place: Option<RecordPlace>,
}

/// The place of a record in an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The file, by the name that the import was given; None for the body of a request.
    pub file: Option<String>,
    /// The line on which the record starts, from 1.
    pub line: u64,
}

impl Ledger {
    /// Stores rejections. The same bytes of an org are stored once, and counted each time.
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

    /// Returns a page of the rejections of visible orgs (None for every org), the newest first. The page is shorter than
    /// requested if its records would exceed 32 MiB.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections(
        &self,
        wanted: &RejectionFilter,
        visible: Option<&[String]>,
        request: &PageRequest<i64>,
    ) -> Result<Page<StoredRejection>, StoreError> {
        let mut query = QueryBuilder::new("SELECT id, octet_length(raw)::bigint FROM rejected WHERE true");
        if let Some(org) = &wanted.org {
            query.push(" AND org = ").push_bind(org.clone());
        }
        if let Some(orgs) = visible {
            query.push(" AND org = ANY(").push_bind(orgs).push(")");
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
        // Records that did not fit are on the next page.
        let cut = PageRequest { size: fitting, ..request.clone() };
        let missing = ids.len() > fitting;
        let mut page = Page::from_read(items, &cut);
        match request.direction {
            Direction::Forward => page.has_next |= missing,
            Direction::Backward => page.has_previous |= missing,
        }
        Ok(page)
    }

    /// Returns the rejections of visible orgs (None for every org) with these ids, in any order, with None for those beyond
    /// 32 MiB.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejections_at(
        &self,
        ids: &[i64],
        visible: Option<&[String]>,
    ) -> Result<Vec<(i64, Option<StoredRejection>)>, StoreError> {
        let mut query = QueryBuilder::new("SELECT id, octet_length(raw)::bigint FROM rejected WHERE id = ANY(");
        query.push_bind(ids).push(")");
        if let Some(orgs) = visible {
            query.push(" AND org = ANY(").push_bind(orgs).push(")");
        }
        let found: Vec<(i64, i64)> = query.build_query_as().fetch_all(&self.reads).await?;
        let (here, left) = found.split_at_checked(fitting(&found)).unwrap_or((&found, &[]));
        let here: Vec<i64> = here.iter().map(|(id, _)| *id).collect();
        let items = self.rejections_with(&here).await?.into_iter().map(|item| (item.id, Some(item)));
        Ok(items.chain(left.iter().map(|(id, _)| (*id, None))).collect())
    }

    /// Returns the rejections with these ids, in the order of the ids.
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

    /// Returns those ids of a filter for which there is no rejection in the filter's org.
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

    /// Deletes the rejections with these ids, and returns the number of deleted ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_rejections(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM rejected WHERE id = ANY($1)").bind(ids).execute(&self.writes).await?;
        Ok(done.rows_affected())
    }
}

/// Maximum number of bytes in the records of one answer. A larger record is an answer of its own.
const ANSWER_BYTES: i64 = 32 << 20;

/// Returns the number of records that fit into an answer, at least one, given their ids and sizes.
fn fitting(found: &[(i64, i64)]) -> usize {
    let sizes = found.iter().scan(0_i64, |sum, (_, size)| {
        *sum = sum.saturating_add(*size);
        Some(*sum)
    });
    sizes.take_while(|sum| *sum <= ANSWER_BYTES).count().max(1).min(found.len())
}

/// A filter of rejections, both of whose conditions must hold. None is no condition.
#[derive(Clone, Debug, Default)]
pub struct RejectionFilter {
    /// The configured name of the Okta org.
    pub org: Option<String>,
    /// The rejections' ids.
    pub ids: Option<Vec<i64>>,
}

/// A stored rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRejection {
    /// The rejection's id.
    pub id: i64,
    /// The configured name of the Okta org.
    pub org: String,
    /// The way in by which the record came first.
    pub source: IngestSource,
    /// Reason for the rejection.
    pub reason: String,
    /// The record's bytes.
    pub raw: Vec<u8>,
    /// Number of times that the record came.
    pub times: i64,
    /// Time at which the record came first.
    pub received_at: Timestamp,
    /// The record's place in an import; None for other ways in.
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
