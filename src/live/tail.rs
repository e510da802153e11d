//! The log's tail: one reader for each gateway reads the newest events, whatever the number of subscribers.

pub(super) mod reader;
pub(super) mod window;

mod early;
mod hints;
mod listener;

pub(super) mod nats;
