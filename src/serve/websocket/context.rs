//! The context of WebSockets.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::graphql::Graph;
use crate::serve::options::ServeOptions;
use crate::serve::subscribers::Subscribers;

/// The number of bytes that are read from a socket before its client is authenticated, enough for `connection_init`
/// with a long token.
pub(super) const UNKNOWN_BYTES: usize = 16 << 10;

/// The context that all sockets share.
#[derive(Clone)]
pub(in crate::serve) struct SocketContext {
    pub(in crate::serve) graph: Graph,
    pub(in crate::serve) authenticator: Authenticator,
    pub(in crate::serve) subscribers: Subscribers,
    pub(in crate::serve) options: Arc<ServeOptions>,
}
