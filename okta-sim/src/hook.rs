//! The event hook: its deliveries, their faults, and their sender.

mod courier;
mod delivery;
mod plan;
mod sender;

pub use courier::{Courier, Tally};
pub use delivery::{Delivery, EventHook};
pub use plan::{Behaviour, DeliveryPlan, PlanCounts};
pub use sender::{DeliveryReport, Fate, HookSender, HookSenderError, HookSenderOptions, VerifyError};
