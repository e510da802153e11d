//! Telling whether the database can be connected to: one log line when it goes, fewer and fewer while it is away, and one
//! when it is back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Cause, ConnectError};

/// After how long the second line comes; each later one takes twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest between two lines.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What was seen of the database last.
#[derive(Debug, Default)]
pub(super) struct Health {
    away: Mutex<Option<Away>>,
    busy: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    next_line: Instant,
    pause: Duration,
}

impl Health {
    /// Notes that a connection was made.
    pub(super) fn connected(&self) {
        metrics::gauge!("sluice_database_connected").set(1.0);
        if let Some(away) = self.away.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let away_seconds = away.since.elapsed().as_secs();
            tracing::info!(away_seconds, "the database is back");
        }
    }

    /// Notes that no server took a connection. What no later attempt mends is told by whoever gives up.
    pub(super) fn failed(&self, error: &ConnectError) {
        metrics::gauge!("sluice_database_connected").set(0.0);
        metrics::counter!("sluice_connection_failures_total").increment(1);
        if let ConnectError::Unreachable(causes) = error {
            let standbys = causes.iter().filter(|(_, cause)| matches!(cause, Cause::Standby | Cause::ReadOnly)).count();
            metrics::counter!("sluice_standbys_refused_total").increment(u64::try_from(standbys).unwrap_or(u64::MAX));
        }
        if error.may_pass()
            && let Some(away_seconds) = self.due(Instant::now())
        {
            tracing::warn!(%error, away_seconds, "no connection to the database; trying again");
        }
    }

    /// For how many seconds the database has been away, where a line about it is due.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let away = away.get_or_insert(Away { since: now, next_line: now, pause: FIRST_PAUSE });
        if now < away.next_line {
            return None;
        }
        away.next_line = now + away.pause;
        away.pause = (away.pause * 2).min(LONGEST_PAUSE);
        Some(now.duration_since(away.since).as_secs())
    }

    /// Notes that nobody gave back a connection in time.
    pub(super) fn busy(&self, error: &ConnectError) {
        metrics::counter!("sluice_connections_busy_total").increment(1);
        let mut told = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() > LONGEST_PAUSE) {
            *told = Some(Instant::now());
            tracing::warn!(%error, "somebody waited for a connection in vain; told at most once a minute");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_at_growing_intervals() {
        let (health, start) = (Health::default(), Instant::now());
        let moments = (0..400).map(|second| start + Duration::from_secs(second));
        let told: Vec<_> = moments.filter_map(|moment| health.due(moment)).collect();
        assert_eq!(told, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]);
        health.connected();
        assert_eq!(health.due(start + Duration::from_secs(500)), Some(0));
    }
}
