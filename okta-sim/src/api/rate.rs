//! Rate limits: a number of requests of each kind in a window, reported in headers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;

use super::lock;

/// A limit on the requests of a kind.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// The number of requests in a window.
    pub requests: u32,
    /// The length of the window in whole seconds; a minute at Okta.
    pub window: Duration,
}

impl Default for RateLimit {
    /// Half of 120 requests a minute, which is Okta's limit for one token of an org.
    fn default() -> Self {
        Self { requests: 60, window: Duration::from_mins(1) }
    }
}

const LIMIT: HeaderName = HeaderName::from_static("x-rate-limit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-rate-limit-reset");

/// The used requests, by kind.
#[derive(Debug)]
pub(super) struct Rates {
    limit: Mutex<RateLimit>,
    windows: Mutex<HashMap<&'static str, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    /// The end of the window, in seconds since 1970.
    reset: i64,
    used: u32,
}

/// The state of a limit after a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    limit: u32,
    remaining: u32,
    reset: i64,
    /// True if the request exceeds the limit.
    pub(super) exceeded: bool,
}

impl Rates {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit: Mutex::new(limit), windows: Mutex::default() }
    }

    /// Changes the limit.
    pub(super) fn set(&self, limit: RateLimit) {
        *lock(&self.limit) = limit;
    }

    /// Uses up requests of a kind.
    pub(super) fn take(&self, kind: &'static str, requests: u32, now: OffsetDateTime) -> Standing {
        let limit = *lock(&self.limit);
        let second = now.unix_timestamp();
        let length = i64::try_from(limit.window.as_secs().max(1)).unwrap_or(i64::MAX);
        let mut windows = lock(&self.windows);
        let window = windows.entry(kind).or_insert(Window { reset: second + length, used: 0 });
        if window.reset <= second {
            *window = Window { reset: second + length, used: 0 };
        }
        window.used = window.used.saturating_add(requests);
        Standing {
            limit: limit.requests,
            remaining: limit.requests.saturating_sub(window.used),
            reset: window.reset,
            exceeded: window.used > limit.requests,
        }
    }
}

impl Standing {
    /// Returns the state that Okta reports while too many requests run at the same time: 0 for both numbers.
    pub(super) const fn concurrent(self) -> Self {
        Self { limit: 0, remaining: 0, ..self }
    }

    pub(super) fn tell(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset));
    }
}
