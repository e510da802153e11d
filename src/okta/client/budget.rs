//! The request budget of a client: its share of Okta's rate limit in each window.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt as _;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::resource::Resource;
use crate::event::Timestamp;

/// The longest random delay after the end of a window. Okta reports the end in whole seconds, and the clients that wait
/// for it should not all return at the same moment.
const JITTER: Duration = Duration::from_secs(2);

/// The pause after Okta rejected a request without a time for the next one.
const PAUSE: Duration = Duration::from_secs(5);

/// The maximum length of a window or pause, whatever Okta reports.
const LONGEST: Duration = Duration::from_mins(10);

/// A rate limit, as Okta's response headers report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RateLimit {
    limit: Option<u32>,
    remaining: Option<u32>,
    /// The end of the window, in seconds since 1970.
    reset: Option<i64>,
}

impl RateLimit {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        Self {
            limit: text("x-rate-limit-limit").and_then(|text| text.parse().ok()),
            remaining: text("x-rate-limit-remaining").and_then(|text| text.parse().ok()),
            reset: text("x-rate-limit-reset").and_then(|text| text.parse().ok()),
        }
    }
}

/// The current window of each resource.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    windows: Mutex<HashMap<Resource, RateWindow>>,
}

#[derive(Clone, Copy, Debug)]
struct RateWindow {
    limit: u32,
    /// The number of requests that Okta still allows to all clients of the org.
    remaining: u32,
    reset: i64,
    ends: Instant,
    /// The number of requests that this client has sent.
    used: u32,
    /// The end of a pause, during which this client sends no requests.
    paused: Option<Instant>,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        Self { share, windows: Mutex::default() }
    }

    /// Returns the time to wait before the next request.
    pub(super) fn wait(&self, resource: Resource) -> Duration {
        self.wait_at(resource, Instant::now())
    }

    /// Updates a resource's window from the headers of a response.
    pub(super) fn learn(&self, resource: Resource, reported: &RateLimit, answered_at: Timestamp) {
        self.learn_at(resource, reported, answered_at, Instant::now());
    }

    /// Pauses until the window ends if its requests are used up, otherwise for the given time.
    pub(super) fn pause(&self, resource: Resource, pause: Option<Duration>) {
        self.pause_at(resource, pause, Instant::now());
    }

    fn wait_at(&self, resource: Resource, now: Instant) -> Duration {
        let windows = self.windows.lock();
        let Some(window) = windows.get(&resource) else { return Duration::ZERO };
        if let Some(paused) = window.paused.filter(|paused| *paused > now) {
            return paused - now;
        }
        // The last few requests are left to other clients, even if those have used up nearly all.
        let is_scarce = window.remaining <= window.limit / 20;
        if window.ends > now && (window.used >= allowed(window.limit, self.share) || is_scarce) {
            return window.ends - now + jitter();
        }
        Duration::ZERO
    }

    fn learn_at(&self, resource: Resource, reported: &RateLimit, answered_at: Timestamp, now: Instant) {
        // A limit of 0 is no limit: Okta reports it when too many requests run at the same time.
        let (Some(limit @ 1..), Some(remaining), Some(reset)) = (reported.limit, reported.remaining, reported.reset)
        else {
            return;
        };
        let mut windows = self.windows.lock();
        let known = windows.get(&resource).copied();
        let used = match known {
            Some(window) if window.reset == reset => window.used + 1,
            // Other clients' requests are not counted, since this client saw the last window end.
            Some(window) if window.ends <= now => 1,
            // Another gateway may have read from the org before, so all used requests count as this client's.
            _ => limit.saturating_sub(remaining).max(1),
        };
        let millis = (reset * 1000).saturating_sub(answered_at.millis());
        let left = Duration::from_millis(u64::try_from(millis).unwrap_or_default()).min(LONGEST);
        let paused = known.and_then(|window| window.paused);
        windows.insert(resource, RateWindow { limit, remaining, reset, ends: now + left, used, paused });
    }

    fn pause_at(&self, resource: Resource, pause: Option<Duration>, now: Instant) {
        let mut windows = self.windows.lock();
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
        let pause = until_reset.or(pause).unwrap_or(PAUSE).min(LONGEST);
        window.paused = Some(now + pause + jitter());
    }
}

/// Returns the client's share of a limit, at least one request.
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

    fn reported(limit: u32, remaining: u32, reset: i64) -> RateLimit {
        RateLimit { limit: Some(limit), remaining: Some(remaining), reset: Some(reset) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000).unwrap()
    }

    #[test]
    fn a_share_of_each_window_is_used() {
        let (budget, now) = (Budget::new(0.5), Instant::now());
        for remaining in (4..8).rev() {
            assert_eq!(budget.wait_at(Resource::Logs, now), Duration::ZERO);
            budget.learn_at(Resource::Logs, &reported(8, remaining, AT + 60), at(AT), now);
        }
        let wait = budget.wait_at(Resource::Logs, now);
        assert!(wait > Duration::from_mins(1) && wait < Duration::from_secs(63), "{wait:?}");
        assert_eq!(budget.wait_at(Resource::Apps, now), Duration::ZERO);
        let later = now + wait;
        assert_eq!(budget.wait_at(Resource::Logs, later), Duration::ZERO);
        budget.learn_at(Resource::Logs, &reported(8, 7, AT + 120), at(AT + 61), later);
        assert_eq!(budget.wait_at(Resource::Logs, later), Duration::ZERO);
    }

    #[test]
    fn what_others_use_up_is_left_to_them() {
        let (budget, now) = (Budget::new(1.0), Instant::now());
        budget.learn_at(Resource::Logs, &reported(60, 3, AT + 30), at(AT), now);
        assert!(budget.wait_at(Resource::Logs, now) > Duration::from_secs(30));
        let budget = Budget::new(0.5);
        budget.learn_at(Resource::Logs, &reported(60, 30, AT + 30), at(AT), now);
        assert!(budget.wait_at(Resource::Logs, now) > Duration::from_secs(30), "the 30 may be another gateway's");
    }

    #[test]
    fn a_refusal_is_waited_out() {
        let (budget, now) = (Budget::new(1.0), Instant::now());
        budget.learn_at(Resource::Logs, &reported(60, 0, AT + 30), at(AT), now);
        budget.pause_at(Resource::Logs, None, now);
        let wait = budget.wait_at(Resource::Logs, now);
        assert!(wait > Duration::from_secs(30) && wait < Duration::from_secs(33), "{wait:?}");
        // Too many requests at once: the headers report a limit of 0, which is ignored.
        let budget = Budget::new(1.0);
        budget.learn_at(Resource::Logs, &reported(0, 0, AT + 30), at(AT), now);
        assert_eq!(budget.wait_at(Resource::Logs, now), Duration::ZERO);
        budget.pause_at(Resource::Logs, None, now);
        assert!(budget.wait_at(Resource::Logs, now) < Duration::from_secs(8));
        budget.pause_at(Resource::Apps, Some(Duration::from_secs(20)), now);
        assert!(budget.wait_at(Resource::Apps, now) > Duration::from_secs(20));
    }
}
