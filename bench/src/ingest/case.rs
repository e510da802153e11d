//! What is measured: deliveries to the gateway, and the references beside them.

use std::fmt;
use std::str::FromStr;

/// One thing that every round measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    /// Deliveries to the gateway's hook endpoint.
    Gateway {
        /// Events in each.
        events: usize,
        /// Connections that send at once.
        connections: usize,
    },
    /// The limit for many events: batches from one connection, see [`super::batched`].
    Batched {
        /// Rows in each batch.
        rows: usize,
    },
    /// The limit for single events: pgbench, see [`super::single_row`].
    SingleRow {
        /// Clients that insert at once.
        clients: usize,
    },
}

/// A round, in its order: a case stands close to its references, as they share what disturbs the machine then.
const ROUND: [Case; 14] = [
    gateway(100, 1),
    batched(256),
    gateway(100, 16),
    batched(1024),
    gateway(100, 64),
    gateway(10, 16),
    gateway(10, 64),
    gateway(10, 1),
    single_row(64),
    gateway(1, 64),
    single_row(16),
    gateway(1, 16),
    single_row(1),
    gateway(1, 1),
];

/// Deliveries to the gateway.
pub(super) const fn gateway(events: usize, connections: usize) -> Case {
    Case::Gateway { events, connections }
}

/// Batches from one connection.
pub(super) const fn batched(rows: usize) -> Case {
    Case::Batched { rows }
}

/// pgbench's single rows.
pub(super) const fn single_row(clients: usize) -> Case {
    Case::SingleRow { clients }
}

impl Case {
    /// The cases of a round: all of them, or only some and what those are compared with.
    pub(super) fn selected(only: &[Self]) -> Vec<Self> {
        let is_selected = |case: &Self| {
            only.is_empty() || only.iter().any(|selected| selected == case || selected.is_compared_with(*case))
        };
        ROUND.into_iter().filter(is_selected).collect()
    }

    /// Whether a target or a reader would compare the two first: single events with single rows, many with batches.
    fn is_compared_with(self, reference: Self) -> bool {
        match (self, reference) {
            (Self::Gateway { events: 1, connections }, Self::SingleRow { clients }) => connections == clients,
            (Self::Gateway { events, .. }, Self::Batched { .. }) => events > 1,
            _ => false,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Gateway { events, connections } => format!("{events}x{connections}"),
            Self::Batched { rows } => format!("batched-{rows}"),
            Self::SingleRow { clients } => format!("pgbench-{clients}"),
        };
        formatter.pad(&text)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ROUND.into_iter().find(|case| case.to_string() == text).ok_or_else(|| {
            let known = ROUND.map(|case| case.to_string());
            format!("there is no such case; there are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_comes_with_its_references() {
        let names = |only: &str| {
            Case::selected(&[only.parse().unwrap()]).iter().map(Case::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("1x64"), "pgbench-64 1x64");
        assert_eq!(names("100x16"), "batched-256 100x16 batched-1024");
        assert_eq!(names("pgbench-1"), "pgbench-1");
        assert_eq!(Case::selected(&[]).len(), ROUND.len());
    }
}
