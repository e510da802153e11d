//! Settings of a connection that depend on its next statement.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Error};
use tokio::time::timeout;

use crate::postgres::connect::Session;

/// Time limit of the check of an idle connection, and of a change of its mode.
pub(super) const PING_TIMEOUT: Duration = Duration::from_millis(700);

/// Way in which the database plans statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planning {
    /// One generic plan for a connection. The plan follows the order of an index where possible: PostgreSQL, which does not
    /// know the values, would often sort all events of a list instead of reading the first ones.
    Once,
    /// A plan for the values, if PostgreSQL expects it to be faster.
    ForValues,
}

/// Mode of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) planning: Planning,
    /// False to execute the statement in one process of the server, because other clients need its processors, too.
    pub(super) is_parallel: bool,
}

impl Planning {
    /// Settings of a connection whose statements have one plan each.
    pub(super) const ONCE: [(&str, &str); 3] =
        [("plan_cache_mode", "force_generic_plan"), ("enable_sort", "off"), ("enable_bitmapscan", "off")];

    const fn setting(self) -> &'static str {
        match self {
            Self::Once => {
                "SET plan_cache_mode = force_generic_plan; SET enable_sort = off; SET enable_bitmapscan = off"
            }
            Self::ForValues => "SET plan_cache_mode = auto; RESET enable_sort; RESET enable_bitmapscan",
        }
    }
}

impl Mode {
    /// Returns the statements that change a connection of another mode to this one.
    fn changes_from(self, other: Self) -> Option<String> {
        let planning = (self.planning != other.planning).then(|| self.planning.setting());
        // Unlike `max_parallel_workers_per_gather`, this also holds for plans that are cached.
        let workers = (self.is_parallel != other.is_parallel).then_some(if self.is_parallel {
            "RESET max_parallel_workers"
        } else {
            "SET max_parallel_workers = 0"
        });
        let changes: Vec<_> = planning.into_iter().chain(workers).collect();
        (!changes.is_empty()).then(|| changes.join("; "))
    }

    /// Changes the mode of a connection to this one.
    pub(super) async fn change(self, session: &mut Session, now: Self) -> Result<(), Error> {
        if let Some(changes) = self.changes_from(now) {
            let set = sqlx::raw_sql(AssertSqlSafe(changes)).execute(&mut session.connection);
            timeout(PING_TIMEOUT, set).await.map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_changed() {
        let (once, values) = (Planning::Once, Planning::ForValues);
        let mode = |planning, is_parallel| Mode { planning, is_parallel };
        assert_eq!(mode(once, true).changes_from(mode(once, true)), None);
        let changes = mode(values, false).changes_from(mode(once, true)).unwrap();
        assert_eq!(
            changes,
            "SET plan_cache_mode = auto; RESET enable_sort; RESET enable_bitmapscan; SET max_parallel_workers = 0"
        );
        let changes = mode(once, true).changes_from(mode(once, false)).unwrap();
        assert_eq!(changes, "RESET max_parallel_workers");
    }
}
