//! Reads that see every partition.
//!
//! The database plans a query before it takes the snapshot that the query reads. A partition that is attached in between
//! is missing from the plan while its events, and a log's end that counts them, are in the snapshot. So such reads bring
//! along the number of the last change of partitions: where it is another one than was known before the query was
//! sent, the query is asked again.

use std::sync::atomic::{AtomicI64, Ordering};

/// The number of the last change of partitions that has been seen.
#[derive(Debug, Default)]
pub(super) struct Partitions(AtomicI64);

impl Partitions {
    /// The number that was known before a query is sent.
    pub(super) fn known(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// Whether a query that was sent when `known` was known, and that found `number` in its snapshot, was planned with
    /// every partition of its snapshot.
    pub(super) fn were_planned(&self, known: i64, number: i64) -> bool {
        if number != known {
            self.0.fetch_max(number, Ordering::AcqRel);
        }
        number == known
    }
}
