//! Health of the database's connections, as it is logged: one line when the database is lost, further lines at growing
//! intervals, and one line when it is back.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::{ConnectError, ConnectFailure};
use crate::backoff::Backoff;

/// Interval between the first line and the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest interval between two lines.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// State of the database's connections, on which the next log line depends.
#[derive(Debug, Default)]
pub(super) struct Health {
    away: Mutex<Option<Outage>>,
    busy: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    next_line: Instant,
    intervals: Backoff,
}

impl Health {
    /// Records that a connection was opened.
    pub(super) fn connected(&self) {
        metrics::gauge!("sluice_database_connected").set(1.0);
        if let Some(away) = self.away.lock().take() {
            let away_seconds = away.since.elapsed().as_secs();
            tracing::info!(away_seconds, "the database is back");
        }
    }

    /// Records that no server accepted a connection. A permanent error is not logged here: the caller gives up and
    /// reports it.
    pub(super) fn failed(&self, error: &ConnectError) {
        metrics::gauge!("sluice_database_connected").set(0.0);
        metrics::counter!("sluice_connection_failures_total").increment(1);
        if let ConnectError::Unreachable(causes) = error {
            let standbys = causes
                .iter()
                .filter(|(_, cause)| matches!(cause, ConnectFailure::Standby | ConnectFailure::ReadOnly))
                .count();
            metrics::counter!("sluice_standbys_refused_total").increment(u64::try_from(standbys).unwrap_or(u64::MAX));
        }
        if error.may_pass()
            && let Some(away_seconds) = self.due(Instant::now())
        {
            tracing::warn!(%error, away_seconds, "no connection to the database; trying again");
        }
    }

    /// Returns the number of seconds since the database was lost, if a line about that is due.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut away = self.away.lock();
        let away = away.get_or_insert_with(|| Outage {
            since: now,
            next_line: now,
            intervals: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        });
        if now < away.next_line {
            return None;
        }
        away.next_line = now + away.intervals.pause();
        Some(now.duration_since(away.since).as_secs())
    }

    /// Records that no connection of a pool became free in time.
    pub(super) fn busy(&self, error: &ConnectError) {
        metrics::counter!("sluice_connections_busy_total").increment(1);
        let mut told = self.busy.lock();
        if told.is_none_or(|told| told.elapsed() > LONGEST_PAUSE) {
            *told = Some(Instant::now());
            tracing::warn!(%error, "no connection became free in time (logged at most once a minute)");
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
