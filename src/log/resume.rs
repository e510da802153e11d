//! Whether a reader can go on from the position it kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Log;
use crate::apart::apart;
use crate::event::Position;
use crate::store::{LogEnds, StoreError};

/// Why a reader cannot go on from its position.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The log is not there yet.
    #[error("position {after} is beyond the log's end, {head}: it is of another log, or of a gateway that is ahead")]
    Ahead {
        /// Where the reader was.
        after: Position,
        /// Where the log ends.
        head: Position,
    },
    /// A restore took it away.
    #[error(
        "position {after} was lost when the database was restored: the log goes on from {previous_end}; read again from \
         there"
    )]
    Lost {
        /// Where the reader was.
        after: Position,
        /// The last position before the loss.
        previous_end: Position,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long to wait for a log that is behind a reader, as a replica may be.
const AHEAD_PATIENCE: Duration = Duration::from_secs(5);

impl Log {
    /// Checks that the log can be read on from a position without a gap, and gives the start of the era in which the log
    /// ends. Waits where the position is just ahead.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn check_resume(&self, after: Position) -> Result<Position, ResumeError> {
        let deadline = Instant::now() + AHEAD_PATIENCE;
        loop {
            let ends = self.stored_ends().await?;
            match check(after, &ends) {
                Err(ResumeError::Ahead { .. }) if Instant::now() < deadline => sleep(Duration::from_millis(100)).await,
                result => return result.map(|()| ends.head.era_start()),
            }
        }
    }

    /// Where the log ends, asked once for all who come back at the same time.
    async fn stored_ends(&self) -> Result<Arc<LogEnds>, StoreError> {
        let log = self.clone();
        apart(async move { log.stored_ends.ask(async { log.store().ends().await.map(Arc::new) }).await }).await
    }
}

fn check(after: Position, ends: &LogEnds) -> Result<(), ResumeError> {
    for (start, previous_end) in ends.eras.iter().skip(1) {
        if *previous_end < after && after < *start {
            return Err(ResumeError::Lost { after, previous_end: *previous_end });
        }
    }
    if after > ends.head { Err(ResumeError::Ahead { after, head: ends.head }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_an_abandoned_era_are_lost() {
        let at = Position::new;
        let era = Position::ERA;
        let ends = LogEnds { head: at(era + 7), eras: vec![(at(0), at(0)), (at(era), at(100))] };
        for kept in [0, 99, 100, era, era + 7] {
            assert!(check(at(kept), &ends).is_ok(), "{kept}");
        }
        for lost in [101, era - 1] {
            assert!(matches!(check(at(lost), &ends), Err(ResumeError::Lost { .. })), "{lost}");
        }
        assert!(matches!(check(at(era + 8), &ends), Err(ResumeError::Ahead { .. })));
    }
}
