//! Counts that may be lower bounds.

use async_graphql::SimpleObject;

use super::scalars::saturated;

/// A count, which may be a lower bound.
#[derive(SimpleObject)]
pub(super) struct Count {
    /// The number; a lower bound unless `isExact` is true.
    value: i32,
    /// True if `value` is the exact number.
    is_exact: bool,
}

impl Count {
    /// The count of so many; one that `Int` cannot hold is not exact.
    pub(super) fn new(value: i64, is_exact: bool) -> Self {
        let saturated = saturated(value);
        Self { value: saturated, is_exact: is_exact && i64::from(saturated) == value }
    }
}
