//! The parts of the database that writers may use: the ledger of the ways in, and the catalogue.

use super::Store;
use crate::postgres::connections::ConnectionPool;

/// The ledger of the ways in, beside the log: cursors and coverage of System Logs, tallies, rejections, refused requests
/// and the headers of deliveries. The ledger reads no event. Clones share the store's connections.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) writes: ConnectionPool,
    pub(super) reads: ConnectionPool,
}

/// The catalogue of applications and instances, for the writers that update it from Okta's API. Clones share the store's
/// connections.
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
