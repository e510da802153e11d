//! Random values: ids in Okta's format, tokens, and weighted choices.

use rand::RngExt;
use rand::distr::Alphanumeric;
use rand_chacha::ChaCha8Rng;
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The last characters of the ids of one Okta cell.
const CELL: &str = "5d7";

/// Creates an Okta id of 20 characters: the prefix of its kind (`0oa` for an application instance), a number, and the
/// cell.
pub(crate) fn okta_id(prefix: &str, mut number: u128) -> String {
    let mut id = String::with_capacity(20);
    id.push_str(prefix);
    while id.len() < 20 - CELL.len() {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        id.push(char::from(BASE_62[digit]));
        number /= 62;
    }
    id + CELL
}

/// Creates a token of letters and digits.
pub(crate) fn token(random: &mut ChaCha8Rng, length: usize) -> String {
    random.sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

/// Returns a random element of a list, which must not be empty.
pub(crate) fn one_of<'a, T>(random: &mut ChaCha8Rng, list: &'a [T]) -> &'a T {
    &list[random.random_range(0..list.len())]
}

/// Creates a version 1 UUID from a time, a node, and a number that no other event of the node has. A node can create
/// 163,840,000 UUIDs in a millisecond.
pub(crate) fn uuid_v1(at: OffsetDateTime, number: u64, node: [u8; 6]) -> Uuid {
    /// The time from 15 October 1582, at which version 1 UUIDs begin, to 1970.
    const TICKS_TO_1970: i128 = 0x01B2_1DD2_1381_4000;
    const TICKS_A_MILLISECOND: u64 = 10_000;
    let millis = at.unix_timestamp_nanos().div_euclid(1_000_000);
    let ticks = TICKS_TO_1970 + millis * i128::from(TICKS_A_MILLISECOND) + i128::from(number % TICKS_A_MILLISECOND);
    let clock = u16::try_from(number / TICKS_A_MILLISECOND % (1 << 14)).unwrap_or_default();
    Builder::from_gregorian_timestamp(u64::try_from(ticks).unwrap_or_default(), clock, &node).into_uuid()
}

/// The weights of a random choice, as cumulative sums.
#[derive(Debug)]
pub(crate) struct Weights(Vec<f64>);

impl Weights {
    /// Creates weights, which must be positive and not empty.
    pub(crate) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let sums = weights.into_iter().scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self(sums.collect())
    }

    /// Creates weights by Zipf's law: the n-th element is chosen 1/n times as often as the first.
    pub(crate) fn zipf(things: u32) -> Self {
        Self::new((1..=things).map(|rank| 1.0 / f64::from(rank)))
    }

    /// Chooses a random index.
    pub(crate) fn pick(&self, random: &mut ChaCha8Rng) -> usize {
        let all = self.0.last().copied().unwrap_or_default();
        let point = random.random::<f64>() * all;
        self.0.partition_point(|sum| *sum <= point).min(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn ids_look_like_okta_s() {
        assert_eq!(okta_id("0oa", 62 + 10), "0oaA10000000000005d7");
        assert_eq!(okta_id("00u", u128::MAX).len(), 20);
    }

    #[test]
    fn weights_are_kept() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let weights = Weights::new([1.0, 3.0]);
        let seconds = (0..4000).filter(|_| weights.pick(&mut random) == 1).count();
        assert!((2800..3200).contains(&seconds), "{seconds}");
    }

    #[test]
    fn uuids_of_one_moment_differ_and_tell_their_time() {
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(1_700_000_000_123);
        let uuids: HashSet<_> = (0..30_000).map(|number| uuid_v1(at, number, [1; 6])).collect();
        assert_eq!(uuids.len(), 30_000);
        let uuid = uuid_v1(at, 7, [1; 6]);
        assert_eq!(uuid.get_version_num(), 1);
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_700_000_000, 123_000_700));
    }
}
