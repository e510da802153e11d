//! What came in and could not be read, kept whole.

use super::{Store, StoreError};
use crate::event::IngestSource;

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
}

impl Store {
    /// Keeps what could not be read; the same bytes sent again are counted and kept once.
    ///
    /// # Errors
    /// The database's.
    pub async fn reject(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO rejected (org, source, reason, raw, digest, times) \
             SELECT org, min(source), min(reason), raw, sha256(raw), count(*) \
             FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bytea[]) AS r (org, source, reason, raw) \
             GROUP BY org, raw ORDER BY org, sha256(raw) \
             ON CONFLICT (org, digest) DO UPDATE SET times = rejected.times + excluded.times",
        )
        .bind(rejections.iter().map(|one| one.org.as_str()).collect::<Vec<_>>())
        .bind(rejections.iter().map(|one| one.source.code()).collect::<Vec<_>>())
        .bind(rejections.iter().map(|one| one.reason.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
        .bind(rejections.iter().map(|one| one.raw.as_slice()).collect::<Vec<_>>())
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// The newest of what was rejected, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_rejected(&self, limit: i64) -> Result<Vec<Rejection>, StoreError> {
        let rows: Vec<(String, i16, String, Vec<u8>)> =
            sqlx::query_as("SELECT org, source, reason, raw FROM rejected ORDER BY id DESC LIMIT $1")
                .bind(limit)
                .fetch_all(&self.reads)
                .await?;
        Ok(rows
            .into_iter()
            .map(|(org, source, reason, raw)| Rejection {
                org,
                source: IngestSource::from_code(source).unwrap_or(IngestSource::EventHook),
                reason,
                raw,
            })
            .collect())
    }
}
