//! The last step of an event's way: workers send a feed's new events onto the sockets of its parked subscribers.
//!
//! The event goes from the scheduler to a worker, from there to the parked subscriber, and through its outlet onto the
//! socket. Nothing calls back. A subscriber is woken only where its socket takes no more bytes (backpressure), or where
//! its next event cannot be sent from here.

pub(super) mod scheduler;
pub(super) mod worker;

pub(super) mod parked;
pub(super) mod parked_queue;
