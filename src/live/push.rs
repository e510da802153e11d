//! The way onto the sockets: a few workers send a feed's new events to the subscribers that wait for them.

pub(super) mod parked;
pub(super) mod parked_queue;
pub(super) mod worker;
