//! The parts of the gateway that WebSockets need.

use std::sync::Arc;

use crate::auth::Readers;
use crate::graphql::Graph;
use crate::serve::options::ServeOptions;
use crate::serve::subscribers::Subscribers;

/// Number of bytes that are read from a socket before its client is known: enough for `connection_init` with a long token.
pub(super) const UNKNOWN_BYTES: usize = 16 << 10;

/// The parts that all sockets share.
#[derive(Clone)]
pub(in crate::serve) struct Context {
    pub(in crate::serve) graph: Graph,
    pub(in crate::serve) readers: Readers,
    pub(in crate::serve) subscribers: Subscribers,
    pub(in crate::serve) options: Arc<ServeOptions>,
}
