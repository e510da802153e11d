//! What comes in: one reader for each gateway reads the log's newest events into a window in memory.

pub(super) mod nats;
pub(super) mod reader;
pub(super) mod window;

mod early;
mod hints;
mod listen;
