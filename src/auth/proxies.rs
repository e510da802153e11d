//! The trusted proxies in front of the gateway, whose headers name the client's address.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// A network: all addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// A text that is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address (127.0.0.1) or a network (10.0.0.0/8, fd00::/8)")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    /// Parses `ADDRESS` or `ADDRESS/BITS`. Bits beyond the prefix must be zero, since others are probably a typing
    /// error.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= width).ok_or(NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        let network = Self { address, prefix };
        if bits(address) == network.first_bits(bits(address)) { Ok(network) } else { Err(NotANetwork) }
    }
}

impl Network {
    /// Returns true if the network contains the address. An IPv4-mapped IPv6 address counts as an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.first_bits(bits(address)) == bits(self.address)
    }

    /// Returns true for a network of all addresses.
    pub const fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Masks the bits of an address to the prefix.
    fn first_bits(&self, bits: u128) -> u128 {
        bits & 128u32.checked_sub(self.prefix).and_then(|rest| u128::MAX.checked_shl(rest)).unwrap_or(0)
    }
}

/// Returns the bits of an address, aligned to the left.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The header in which trusted proxies name the client. The gateway ignores all other headers, since a proxy may pass
/// on what a client wrote there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientHeader {
    /// `X-Forwarded-For` for the address, and `X-Forwarded-Host` for the requested host.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), with `for` and `host`.
    Forwarded,
}

/// The proxies that may name their clients. Without any, each connection's own address is the client's address.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[Network]>,
    /// The header in which the proxies name the client.
    pub header: ClientHeader,
}

impl TrustedProxies {
    /// Returns the proxies of these networks.
    pub fn new(networks: Vec<Network>, header: ClientHeader) -> Self {
        Self { networks: networks.into(), header }
    }

    /// Returns true if the address is a trusted proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        let has = |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        for (network, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1"),
            ("10.0.0.0/8", "10.255.0.7"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("::/0", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
            ("2001:db8::8/125", "2001:db8::f"),
        ] {
            assert!(has(network, address), "{network} has {address}");
        }
        for (network, address) in [
            ("127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "::1"),
            ("10.0.0.0/8", "11.0.0.0"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "203.0.113.9"),
            ("2001:db8::/32", "2001:db9::1"),
            ("2001:db8::8/125", "2001:db8::10"),
        ] {
            assert!(!has(network, address), "{network} has not {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "localhost", "10.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/+8", "fd00::1/8"]
        {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
