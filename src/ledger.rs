//! The ledger of the ways in, beside the log: the cursors and the coverage of System Logs, tallies, rejections, refused
//! requests and the headers of deliveries.

mod coverage;
mod delivery_headers;
mod hook_refusal;
mod imported;
mod poll_cursor;
mod rejected;
mod tally;

pub use coverage::ReadWindow;
pub use delivery_headers::StoredHeaders;
pub use hook_refusal::HookRefusal;
pub use poll_cursor::{PollCursor, PollError};
pub use rejected::{RecordPlace, Rejection, RejectionFilter, StoredRejection};
pub use tally::IngestTally;

use crate::postgres::connections::ConnectionPool;
use crate::store::Store;

/// The ledger of the ways in. It gives writers no access to the events of the log. Clones share the store's connections.
#[derive(Clone, Debug)]
pub struct Ledger {
    writes: ConnectionPool,
    reads: ConnectionPool,
}

impl Store {
    /// Returns the ledger in the same database.
    pub fn ledger(&self) -> Ledger {
        Ledger { writes: self.writes.clone(), reads: self.reads.clone() }
    }
}
