//! The limit of sign-ins that one client address begins.

use std::hash::RandomState;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::auth::LOGIN_TIME;
use crate::serve::per_address::network;

/// The largest number of sign-ins that one address begins within [`LOGIN_TIME`]: a tenth of those that can be under way, so that no
/// single client displaces those of others.
const MOST: u32 = 1_000;

/// The number of addresses that are counted. Of more, those that have begun least recently are forgotten.
const ADDRESSES: usize = 10_000;

/// The sign-ins that have begun lately, by address. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct BegunLogins(Arc<Mutex<LruCache<IpAddr, Begun, RandomState>>>);

#[derive(Debug)]
struct Begun {
    since: Instant,
    number: u32,
}

impl Default for BegunLogins {
    fn default() -> Self {
        let addresses = NonZeroUsize::new(ADDRESSES).unwrap_or(NonZeroUsize::MIN);
        Self(Arc::new(Mutex::new(LruCache::with_hasher(addresses, RandomState::new()))))
    }
}

impl BegunLogins {
    /// Counts a sign-in that an address begins. Returns false if the address has begun too many.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> bool {
        let mut all = self.0.lock();
        let begun = all.get_or_insert_mut(network(address), || Begun { since: now, number: 0 });
        if now.duration_since(begun.since) >= LOGIN_TIME {
            *begun = Begun { since: now, number: 0 };
        }
        begun.number = begun.number.saturating_add(1);
        begun.number <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_begins_so_many_in_a_while() {
        let (begun, start) = (BegunLogins::default(), Instant::now());
        let count = |address: &str, now| begun.count(address.parse().unwrap(), now);
        assert!((0..MOST).all(|_| count("192.0.2.1", start)));
        assert!(!count("192.0.2.1", start) && !count("::ffff:192.0.2.1", start) && count("192.0.2.2", start));
        assert!(count("192.0.2.1", start + LOGIN_TIME));
        for number in 0..2 * ADDRESSES {
            assert!(begun.count(std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into(), start));
        }
        assert_eq!(begun.0.lock().len(), ADDRESSES);
    }
}
