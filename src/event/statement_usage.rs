//! The use that one operation makes of the database.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The rows that the statements of an operation have returned, and the time that they took.
#[derive(Debug, Default)]
pub struct StatementUsage {
    rows: AtomicU64,
    nanoseconds: AtomicU64,
}

impl StatementUsage {
    /// Adds a statement.
    pub fn add(&self, rows: usize, taken: Duration) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Returns the sum of the statements' times, in milliseconds.
    pub fn milliseconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64() * 1000.0
    }
}
