//! Counts of what each client's address holds open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// A limit on what one address holds. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct PerAddress {
    limit: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of the things that an address holds. The drop releases it.
#[derive(Debug)]
pub(super) struct Held {
    network: IpAddr,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerAddress {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// Counts one more for the address; None if the address holds as many as it may.
    pub(super) fn take(&self, address: IpAddr) -> Option<Held> {
        let network = network(address);
        let mut all = self.held.lock();
        let held = all.entry(network).or_default();
        if *held >= self.limit {
            return None;
        }
        *held += 1;
        Some(Held { network, held: Arc::clone(&self.held) })
    }

    /// Returns the limit.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.held.lock();
        if let Some(held) = all.get_mut(&self.network) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.network);
            }
        }
    }
}

/// Returns what counts as one client: an IPv4 address, or the /64 network of an IPv6 address, as a client has all
/// addresses of such a network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_and_gets_them_back() {
        let counts = PerAddress::new(2);
        let take = |address: &str| counts.take(address.parse().unwrap());
        let held = [take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap()];
        assert!(take("192.0.2.1").is_none() && take("192.0.2.2").is_some());
        drop(held);
        let same_network = [take("2001:db8::2").unwrap(), take("2001:db8:0:0:1::").unwrap()];
        assert!(take("2001:db8::3").is_none() && take("2001:db8:0:1::1").is_some());
        drop(same_network);
        assert!(counts.held.lock().is_empty());
    }
}
