//! PostgreSQL as a server: the private one that the gateway starts, the one that a URL names, and the connections to it.

pub(crate) mod connect;
pub(crate) mod connections;
mod credential;
pub(crate) mod kept;
pub(crate) mod named_row;
pub mod private;

pub use connect::{ConnectError, ConnectFailure, Refused};
pub use connections::ReadLimits;
pub use credential::Credential;
