//! How many requests a client may make: a share of what Okta's rate limit allows, window by window.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rand::RngExt as _;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::resource::Resource;
use crate::event::Timestamp;

/// How long after a window's end the next request is made, at most: a reset is told in whole seconds, and not everybody
/// who waits for it should come at once.
const JITTER: Duration = Duration::from_secs(2);

/// The pause after Okta refused a request without saying until when.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest that a limit is believed to last.
const LONGEST: Duration = Duration::from_mins(10);

/// A rate limit, as headers tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    limit: Option<u32>,
    remaining: Option<u32>,
    /// When the window ends, in seconds since 1970.
    reset: Option<i64>,
}

impl Limits {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        Self {
            limit: text("x-rate-limit-limit").and_then(|text| text.parse().ok()),
            remaining: text("x-rate-limit-remaining").and_then(|text| text.parse().ok()),
            reset: text("x-rate-limit-reset").and_then(|text| text.parse().ok()),
        }
    }
}

/// What is known of the window of each resource.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    windows: Mutex<HashMap<Resource, RateWindow>>,
}

#[derive(Clone, Copy, Debug)]
struct RateWindow {
    limit: u32,
    /// What Okta leaves to everybody.
    remaining: u32,
    reset: i64,
    ends: Instant,
    /// What this client has used.
    used: u32,
    /// Until when nothing is asked, whatever is left.
    paused: Option<Instant>,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        Self { share, windows: Mutex::default() }
    }

    /// How long to wait before the next request.
    pub(super) fn wait(&self, resource: Resource) -> Duration {
        self.wait_at(resource, Instant::now())
    }

    /// Takes in what an answer told.
    pub(super) fn learn(&self, resource: Resource, told: &Limits, answered_at: Timestamp) {
        self.learn_at(resource, told, answered_at, Instant::now());
    }

    /// Asks nothing for a while: for so long, or until the window's end.
    pub(super) fn pause(&self, resource: Resource, for_so_long: Option<Duration>) {
        self.pause_at(resource, for_so_long, Instant::now());
    }

    fn wait_at(&self, resource: Resource, now: Instant) -> Duration {
        let windows = self.lock();
        let Some(window) = windows.get(&resource) else { return Duration::ZERO };
        if let Some(paused) = window.paused.filter(|paused| *paused > now) {
            return paused - now;
        }
        // A few are left to others even where those have used up nearly all.
        let is_scarce = window.remaining <= window.limit / 20;
        if window.ends > now && (window.used >= allowed(window.limit, self.share) || is_scarce) {
            return window.ends - now + jitter();
        }
        Duration::ZERO
    }

    fn learn_at(&self, resource: Resource, told: &Limits, answered_at: Timestamp, now: Instant) {
        // Where too many ran at once, Okta tells a limit of 0, which is none.
        let (Some(limit @ 1..), Some(remaining), Some(reset)) = (told.limit, told.remaining, told.reset) else {
            return;
        };
        let mut windows = self.lock();
        let known = windows.get(&resource).copied();
        let used = match known {
            Some(window) if window.reset == reset => window.used + 1,
            // The window began with this client's requests.
            Some(window) if window.ends <= now => 1,
            // Perhaps another gateway has asked for the same org before: all that is used may be its.
            _ => limit.saturating_sub(remaining).max(1),
        };
        let millis = (reset * 1000).saturating_sub(answered_at.millis());
        let left = Duration::from_millis(u64::try_from(millis).unwrap_or_default()).min(LONGEST);
        let paused = known.and_then(|window| window.paused);
        windows.insert(resource, RateWindow { limit, remaining, reset, ends: now + left, used, paused });
    }

    fn pause_at(&self, resource: Resource, for_so_long: Option<Duration>, now: Instant) {
        let mut windows = self.lock();
        let window = windows.entry(resource).or_insert(RateWindow {
            limit: 1,
            remaining: 1,
            reset: 0,
            ends: now,
            used: 0,
            paused: None,
        });
        let is_used_up = window.remaining == 0 && window.ends > now;
        let until_reset = is_used_up.then(|| window.ends - now);
        let pause = until_reset.or(for_so_long).unwrap_or(PAUSE).min(LONGEST);
        window.paused = Some(now + pause + jitter());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Resource, RateWindow>> {
        self.windows.lock()
    }
}

/// How many requests of a limit are the client's: at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a number is no larger")]
fn allowed(limit: u32, share: f64) -> u32 {
    ((f64::from(limit) * share).floor() as u32).max(1)
}

fn jitter() -> Duration {
    JITTER.mul_f64(rand::rng().random_range(0.25..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_800_000_000;

    fn told(limit: u32, remaining: u32, reset: i64) -> Limits {
        Limits { limit: Some(limit), remaining: Some(remaining), reset: Some(reset) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000).unwrap()
    }

    #[test]
    fn a_share_of_each_window_is_used() {
        let (budget, now) = (Budget::new(0.5), Instant::now());
        for remaining in (4..8).rev() {
            assert_eq!(budget.wait_at(Resource::Logs, now), Duration::ZERO);
            budget.learn_at(Resource::Logs, &told(8, remaining, AT + 60), at(AT), now);
        }
        let wait = budget.wait_at(Resource::Logs, now);
        assert!(wait > Duration::from_mins(1) && wait < Duration::from_secs(63), "{wait:?}");
        assert_eq!(budget.wait_at(Resource::Apps, now), Duration::ZERO);
        let later = now + wait;
        assert_eq!(budget.wait_at(Resource::Logs, later), Duration::ZERO);
        budget.learn_at(Resource::Logs, &told(8, 7, AT + 120), at(AT + 61), later);
        assert_eq!(budget.wait_at(Resource::Logs, later), Duration::ZERO);
    }

    #[test]
    fn what_others_use_up_is_left_to_them() {
        let (budget, now) = (Budget::new(1.0), Instant::now());
        budget.learn_at(Resource::Logs, &told(60, 3, AT + 30), at(AT), now);
        assert!(budget.wait_at(Resource::Logs, now) > Duration::from_secs(30));
        let budget = Budget::new(0.5);
        budget.learn_at(Resource::Logs, &told(60, 30, AT + 30), at(AT), now);
        assert!(budget.wait_at(Resource::Logs, now) > Duration::from_secs(30), "the 30 may be another gateway's");
    }

    #[test]
    fn a_refusal_is_waited_out() {
        let (budget, now) = (Budget::new(1.0), Instant::now());
        budget.learn_at(Resource::Logs, &told(60, 0, AT + 30), at(AT), now);
        budget.pause_at(Resource::Logs, None, now);
        let wait = budget.wait_at(Resource::Logs, now);
        assert!(wait > Duration::from_secs(30) && wait < Duration::from_secs(33), "{wait:?}");
        // Too many at once: the headers tell a limit of 0, which is forgotten.
        let budget = Budget::new(1.0);
        budget.learn_at(Resource::Logs, &told(0, 0, AT + 30), at(AT), now);
        assert_eq!(budget.wait_at(Resource::Logs, now), Duration::ZERO);
        budget.pause_at(Resource::Logs, None, now);
        assert!(budget.wait_at(Resource::Logs, now) < Duration::from_secs(8));
        budget.pause_at(Resource::Apps, Some(Duration::from_secs(20)), now);
        assert!(budget.wait_at(Resource::Apps, now) > Duration::from_secs(20));
    }
}
