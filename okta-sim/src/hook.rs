//! The event hook: its deliveries, what happens to them on the way, and who delivers them.

mod courier;
mod delivery;
mod plan;
mod sender;

pub use courier::{Courier, Tally};
pub use delivery::{Delivery, EventHook};
pub use plan::{Behaviour, DeliveryPlan, PlanCounts};
pub use sender::{DeliveryReport, Fate, HookSender, HookSenderError, HookSenderOptions, VerifyError};
