//! What writers get of the store, and no more: the ledger of the ways in, and the catalogue.

use super::Store;
use crate::postgres::connections::ConnectionPool;

/// The ledger of the ways in, beside the log: cursors of System Logs, windows that were read whole, tallies, rejections,
/// and headers of deliveries. The ledger reads no event. Clones share the store's connections.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) writes: ConnectionPool,
    pub(super) reads: ConnectionPool,
}

/// The catalogue of applications and instances, as Okta's API lists it: for writers. Clones share the store's connections.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub(super) writes: ConnectionPool,
}

impl Store {
    /// Returns the ledger of the ways in.
    pub fn ledger(&self) -> Ledger {
        Ledger { writes: self.writes.clone(), reads: self.reads.clone() }
    }

    /// Returns the catalogue.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue { writes: self.writes.clone() }
    }
}
