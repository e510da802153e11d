//! The limit of log lines about refused credentials.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The least interval between two log lines about the same kind of refusal: anybody can cause refusals. Each kind has lines of its
/// own, so that invented tokens do not hide the mistake of a setting.
const INTERVAL: Duration = Duration::from_mins(1);

/// The times of the last log lines about refusals, by kind.
#[derive(Debug)]
pub(super) struct LoggedRefusals<F>(Mutex<HashMap<Discriminant<F>, Instant>>);

impl<F> Default for LoggedRefusals<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F> LoggedRefusals<F> {
    /// Returns true if a log line is due, which then counts as written.
    pub(super) fn is_due(&self, fault: &F) -> bool {
        self.is_due_at(fault, Instant::now())
    }

    fn is_due_at(&self, fault: &F, now: Instant) -> bool {
        let kind = discriminant(fault);
        let mut logged = self.0.lock();
        let is_due = logged.get(&kind).is_none_or(|at| now.duration_since(*at) >= INTERVAL);
        if is_due {
            logged.insert(kind, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once_a_minute() {
        let (log, start) = (LoggedRefusals::<Result<u8, u8>>::default(), Instant::now());
        assert!(log.is_due_at(&Ok(1), start) && !log.is_due_at(&Ok(2), start) && log.is_due_at(&Err(1), start));
        let later = start + INTERVAL;
        assert!(log.is_due_at(&Ok(3), later) && !log.is_due_at(&Ok(4), later));
    }
}
