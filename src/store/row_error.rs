//! The error of a row that cannot be decoded.

/// A column of a row that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the row of the event with the number {number} cannot be decoded: sync_event.{column} {fault}")]
pub struct RowError {
    /// Name of the column.
    pub column: &'static str,
    /// The database's number for the event's position.
    pub number: i64,
    /// Fault of the value, such as `is null`.
    pub fault: String,
}
