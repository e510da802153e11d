//! The check that a reader can resume from its position without missing events.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Log, View};
use crate::abort_on_drop::spawn_abort_on_drop;
use crate::event::Position;
use crate::store::{LogEnds, StoreError};

/// The reason why a reader cannot resume from its position.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The position is newer than the log's end.
    #[error("position {after} is beyond the log's end, {head}: it is of another log, or of a gateway that is ahead")]
    Ahead {
        /// The reader's position.
        after: Position,
        /// The log's end.
        head: Position,
    },
    /// The events after the position were lost in a restore.
    #[error(
        "position {after} was lost when the database was restored: the log goes on from {previous_end}; read again from \
         there"
    )]
    Lost {
        /// The reader's position.
        after: Position,
        /// The last position before the loss.
        previous_end: Position,
    },
    /// The log has no such era: the position is from another copy of the log, or newer than the restored backup.
    #[error(
        "position {after} is of an era that this log does not have: of another copy of it, or lost when the database was \
         restored; read again from a position that you have seen here, or from a time"
    )]
    UnknownEra {
        /// The reader's position.
        after: Position,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The time to wait for a log that is behind the reader, as a replica may be.
const AHEAD_PATIENCE: Duration = Duration::from_secs(5);

impl View {
    /// Checks that a reader can resume from a position without a gap. Returns the start of the era in which the log
    /// ends. Waits a while for a position that is ahead of the log.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn check_resume(&self, after: Position) -> Result<Position, ResumeError> {
        let deadline = Instant::now() + AHEAD_PATIENCE;
        loop {
            let ends = self.0.log.stored_ends().await?;
            match check(after, &ends) {
                Err(ResumeError::Ahead { .. }) if Instant::now() < deadline => sleep(Duration::from_millis(100)).await,
                result => return result.map(|()| ends.head.era_start()),
            }
        }
    }

    /// Reads the log's end from the database, so that it includes appends of other gateways. Events that were committed
    /// before the call are at or before this position; events that are committed after the return come after it.
    ///
    /// # Errors
    /// The database's.
    pub async fn head_now(&self) -> Result<Position, StoreError> {
        Ok(self.0.log.stored_ends().await?.head)
    }
}

impl Log {
    /// Reads the log's end from the database. Subscribers that reconnect at the same time share one read
    /// (single-flight).
    async fn stored_ends(&self) -> Result<Arc<LogEnds>, StoreError> {
        let log = self.clone();
        let ask = async move { log.0.stored_ends.ask(async { log.0.store.ends().await.map(Arc::new) }).await };
        spawn_abort_on_drop(ask).await
    }
}

fn check(after: Position, ends: &LogEnds) -> Result<(), ResumeError> {
    for era in ends.eras.iter().skip(1) {
        if era.previous_end < after && after < era.start {
            return Err(ResumeError::Lost { after, previous_end: era.previous_end });
        }
    }
    if after.era_start() > ends.head.era_start() {
        return Err(ResumeError::UnknownEra { after });
    }
    if after > ends.head { Err(ResumeError::Ahead { after, head: ends.head }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Era;

    /// The tag of a later era.
    const TAG: i64 = 1_795_945_000_123_456;

    #[test]
    fn positions_of_an_abandoned_era_are_lost() {
        let at = Position::new;
        let later = |number| Position::in_era(TAG, number);
        let first = Era { start: Position::START, previous_end: Position::START };
        let ends = LogEnds { head: later(7), eras: vec![first, Era { start: later(0), previous_end: at(100) }] };
        for kept in [at(0), at(99), at(100), later(0), later(7)] {
            assert!(check(kept, &ends).is_ok(), "{kept}");
        }
        // The last position is of an era of another copy of the log, which began before this log's second era.
        for lost in [at(101), later(0).previous(), Position::in_era(TAG - 1, 3)] {
            assert!(matches!(check(lost, &ends), Err(ResumeError::Lost { .. })), "{lost}");
        }
        assert!(matches!(check(later(8), &ends), Err(ResumeError::Ahead { .. })));
        let foreign = Position::in_era(TAG + 1, 3);
        assert!(matches!(check(foreign, &ends), Err(ResumeError::UnknownEra { .. })));
    }
}
