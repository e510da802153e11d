//! Identities of events, each given once.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// Gives UUIDs of version 1, as Okta does: they ascend for minutes, so that indexes grow where they do in life.
#[derive(Debug)]
pub(crate) struct Identities {
    ticks: Cell<u64>,
}

/// Ticks of 100 ns between the UUIDs' epoch, 1582-10-15, and 1970.
const TICKS_BEFORE_1970: u64 = 0x01B2_1DD2_1381_4000;

impl Identities {
    /// Begins at this moment: an earlier run gave others.
    pub(crate) fn starting_now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ticks = u64::try_from(since_1970.as_nanos() / 100).unwrap_or_default();
        Self { ticks: Cell::new(TICKS_BEFORE_1970 + ticks) }
    }

    /// The next one.
    pub(crate) fn next(&self) -> Uuid {
        let ticks = self.ticks.get();
        self.ticks.set(ticks + 1);
        Builder::from_gregorian_timestamp(ticks, 0, b"bench\0").into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_version_1_and_all_different() {
        let identities = Identities::starting_now();
        let (first, second) = (identities.next(), identities.next());
        assert_eq!(first.get_version_num(), 1);
        assert!(first < second);
    }
}
