//! The ways in: whatever brings an event, it ends in one append.

mod body;
mod headers;
mod hook;
mod import;
mod intake;
mod naming;
mod okta_api;
mod record;
mod retry;
mod tally;
mod workflows;

pub use body::BodyEncoding;
pub use headers::redacted_headers;
pub use hook::{HookError, ReceivedDelivery};
pub use import::{ImportEnd, ImportError, ImportOptions, ImportReport, Progress, RejectedLine};
pub use intake::{Intake, IntakeLimits, OrgIntake, Receipt};
pub use naming::{add_words, name_events};
pub use okta_api::{ApiOptions, OrgApi, read_org};
pub use retry::{Retried, RetryReport};
pub use tally::{write_tallies, write_tallies_now};
