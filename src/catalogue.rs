//! The catalogue: the applications and application instances of each org. Appends update it from events, and the gateway
//! that leads an org from Okta's Apps API.

mod listed;
mod read;

pub use listed::InstanceListing;
pub use read::{ApplicationFilter, InstanceFilter};

use crate::postgres::connections::ConnectionPool;
use crate::store::Store;

/// The catalogue of applications and instances. Clones share the store's connections.
#[derive(Clone, Debug)]
pub struct Catalogue {
    writes: ConnectionPool,
    reads: ConnectionPool,
}

impl Store {
    /// Returns the catalogue in the same database.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue { writes: self.writes.clone(), reads: self.reads.clone() }
    }
}
