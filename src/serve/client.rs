//! The client of a request.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::http::Extensions;
use tokio_util::sync::CancellationToken;

use super::per_address::{AddressPermit, PerAddress};
use super::wire::Wire;
use crate::auth::TrustedProxies;

/// The client at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct RequestClient {
    /// The address of the connection, or the one that a trusted proxy names.
    pub(super) address: IpAddr,
    /// Closes the connection.
    pub(super) close: CancellationToken,
    /// The connection itself; None for a request that came without one, as in tests.
    pub(super) wire: Option<Wire>,
    /// The permit of the connection, or of a proxy's request, for its address; None if neither is counted.
    pub(super) held: Option<Arc<AddressPermit>>,
    /// The counts of all addresses.
    pub(super) counts: PerAddress,
    /// The trusted proxies, if this connection may be one of theirs.
    pub(super) proxies: Option<TrustedProxies>,
}

impl RequestClient {
    /// Returns the client of a request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let nobody = || Self {
            address: Ipv4Addr::UNSPECIFIED.into(),
            close: CancellationToken::new(),
            wire: None,
            held: None,
            counts: PerAddress::new(usize::MAX),
            proxies: None,
        };
        extensions.get().cloned().unwrap_or_else(nobody)
    }

    /// Returns the address of a request's client.
    pub(super) fn address_of(extensions: &Extensions) -> IpAddr {
        extensions.get::<Self>().map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.address)
    }

    /// Returns the trusted proxies if a request comes from one of them.
    pub(super) fn trusted_proxies(extensions: &Extensions) -> Option<&TrustedProxies> {
        extensions.get::<Self>()?.proxies.as_ref()
    }

    /// Counts a request for the client that a proxy names.
    ///
    /// # Errors
    /// The limit, which the address has reached.
    pub(super) fn count(&mut self, address: IpAddr) -> Result<Arc<AddressPermit>, usize> {
        self.address = address;
        let held = Arc::new(self.counts.take(address).ok_or(self.counts.limit())?);
        self.held = Some(Arc::clone(&held));
        Ok(held)
    }
}
