//! Limits for each client address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// A limit on what one address may hold open. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct PerAddress {
    limit: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A permit of an address, released on drop.
#[derive(Debug)]
pub(super) struct AddressPermit {
    network: IpAddr,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerAddress {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// Takes a permit for an address; None if the address is at its limit.
    pub(super) fn take(&self, address: IpAddr) -> Option<AddressPermit> {
        let network = network(address);
        let mut all = self.held.lock();
        let held = all.entry(network).or_default();
        if *held >= self.limit {
            return None;
        }
        *held += 1;
        Some(AddressPermit { network, held: Arc::clone(&self.held) })
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }
}

impl Drop for AddressPermit {
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

/// Returns the network that counts as one client: an IPv4 address, or the /64 network of an IPv6 address, since one
/// client may use all addresses of such a network.
pub(super) fn network(address: IpAddr) -> IpAddr {
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
