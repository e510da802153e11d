//! The ways in: whatever brings an event, it ends in one append.

mod headers;
mod hook;
mod intake;

pub use headers::redacted_headers;
pub use hook::HookError;
pub use intake::{Intake, OrgIntake, Receipt};
