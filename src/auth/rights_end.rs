//! The end of a viewer's rights while its operations run: they expire, or they are revoked.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::sleep;

use super::viewer::Viewer;
use crate::event::Timestamp;

/// The time over which the ends of tokens are spread that expire at the same moment, so that not all of their clients come back
/// at once.
const SPREAD: Duration = Duration::from_secs(5);

/// The end of a viewer's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsEnd {
    /// The token has expired.
    Expired,
    /// The reader or the issuer was removed from the settings, or has other rights now.
    Revoked,
}

impl Viewer {
    /// Waits until the viewer's rights end, which may be never.
    pub fn rights_end(&self) -> impl Future<Output = RightsEnd> + Send + use<> {
        let revoked = self.revocation.revoked();
        let left = self.expires.map(time_left);
        async move {
            let expired = async {
                match left {
                    Some(left) => sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            let end = tokio::select! {
                () = revoked => RightsEnd::Revoked,
                () = expired => RightsEnd::Expired,
            };
            let reason = if end == RightsEnd::Expired { "expired" } else { "revoked" };
            metrics::counter!("sluice_rights_ended_total", "reason" => reason).increment(1);
            end
        }
    }
}

/// Returns the time after which operations end whose rights expire at a moment: up to 5 s before it, but never less than half of
/// the time that is left.
fn time_left(expires: Timestamp) -> Duration {
    let millis = expires.millis().saturating_sub(Timestamp::now().millis());
    let left = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    let spread = SPREAD.min(left / 2).mul_f64(rand::rng().random_range(0.0..1.0));
    left.saturating_sub(spread)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use time::Duration as SignedDuration;

    use super::super::revocation::Revocation;
    use super::*;

    #[tokio::test]
    async fn rights_end_when_they_are_revoked() {
        let viewer = Viewer::open(&Revocation::default());
        let (before, after) = (viewer.rights_end(), viewer.clone().rights_end());
        assert_eq!(before.now_or_never(), None);
        viewer.revocation.revoke();
        assert_eq!(after.await, RightsEnd::Revoked);
    }

    #[test]
    fn ends_are_spread_over_five_seconds_before_the_expiry() {
        for seconds in [0_i32, 1, 8, 10, 3600] {
            let whole = Duration::from_secs(seconds.unsigned_abs().into());
            let tolerance = Duration::from_millis(500);
            let earliest = whole.saturating_sub(SPREAD.min(whole / 2)).saturating_sub(tolerance);
            let ends: Vec<_> =
                (0..50).map(|_| time_left(Timestamp::now().plus(SignedDuration::seconds(seconds.into())))).collect();
            assert!(ends.iter().all(|end| (earliest..=whole).contains(end)), "{seconds}: {ends:?}");
            assert!(seconds == 0 || ends.iter().any(|end| *end != ends[0]), "{seconds}: {ends:?}");
        }
        assert_eq!(time_left(Timestamp::now().plus(SignedDuration::seconds(-5))), Duration::ZERO);
    }
}
