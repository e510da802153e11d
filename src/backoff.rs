//! Pauses between retries.

use std::time::Duration;

use rand::RngExt as _;

/// Exponential backoff: each pause is twice as long as the last one, up to a longest pause.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    has_jitter: bool,
}

impl Backoff {
    /// Creates a backoff that begins with the first pause.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first, has_jitter: false }
    }

    /// Shortens each pause by a random part of up to a half, so that clients that failed at the same moment do not all
    /// retry at the same moment.
    #[must_use]
    pub(crate) const fn with_jitter(self) -> Self {
        Self { has_jitter: true, ..self }
    }

    /// Returns the pause after one more failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        if self.has_jitter { pause.mul_f64(rand::rng().random_range(0.5..1.0)) } else { pause }
    }

    /// Begins again with the first pause, after a success.
    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    fn pauses(backoff: &mut Backoff) -> Vec<u128> {
        (0..6).map(|_| backoff.pause().as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert_eq!(pauses(&mut backoff), [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(pauses(&mut backoff), [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_pause_and_differs_between_clients() {
        let clients: Vec<_> = (0..20).map(|_| pauses(&mut Backoff::new(FIRST, LONGEST).with_jitter())).collect();
        for client in &clients {
            for (pause, whole) in client.iter().zip([100, 200, 400, 800, 1000, 1000]) {
                assert!((whole / 2..=whole).contains(pause), "{client:?}");
            }
        }
        assert!(clients.iter().any(|client| *client != clients[0]));
    }
}
