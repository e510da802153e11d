//! The rights of readers.

use std::fmt;
use std::ops::Deref;

use super::Filter;

/// The rights of a reader: the part of the log that the reader may see. A view of the log applies them to each of its
/// reads. A clone is cheap.
///
/// Every reader may see everything today. Limits of rows will be further variants of [`Rows`]; scopes and limits of
/// columns will be further fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    rows: Rows,
}

/// The events that a reader may see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// Every event of every org.
    All,
}

impl Rights {
    /// Returns the rights to see everything.
    pub const fn everything() -> Self {
        Self { rows: Rows::All }
    }

    /// Returns the events that may be seen.
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Narrows a filter to the events that may be seen.
    pub fn narrow(&self, filter: Filter) -> Narrowed {
        match self.rows {
            Rows::All => Narrowed(filter),
        }
    }
}

impl fmt::Display for Rights {
    /// Writes the canonical text: equal rights have equal texts, and different rights have different texts.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.rows {
            Rows::All => "everything",
        })
    }
}

/// A filter that is restricted to a reader's rights. Only [`Rights::narrow`] creates one, so that no statement and no
/// feed can use a filter without rights:
///
/// ```compile_fail,E0423
/// let narrowed = sluice::event::Narrowed(sluice::event::Filter::default());
/// ```
///
/// ```
/// use sluice::event::{Filter, Rights};
///
/// let narrowed = Rights::everything().narrow(Filter::default());
/// assert_eq!(*narrowed, Filter::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Narrowed(Filter);

impl Deref for Narrowed {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_to_everything_leave_a_filter_as_it_is() {
        let inner = Filter { orgs: Some(vec!["acme".to_owned()]), ..Filter::default() };
        let filter = Filter {
            applications: Some(Vec::new()),
            not: Some(Box::new(inner.clone())),
            and: vec![inner],
            ..Filter::default()
        };
        let narrowed = Rights::everything().narrow(filter.clone());
        assert_eq!(*narrowed, filter);
        // The filter was moved and not copied: statements identify its parts by their addresses.
        let part = &raw const narrowed.and[0];
        assert_eq!(narrowed.clone().and.len(), 1);
        assert!(std::ptr::eq(part, narrowed.conjuncts()[1]));
    }
}
