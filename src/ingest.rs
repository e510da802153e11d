//! Ingestion: the sources of events, and the intake, through which the events of all sources enter the log.

mod body;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod import;
mod intake;
mod large_bodies;
mod naming;
mod okta_api;
mod org_intake;
mod posted;
mod retry;
mod sorted;
mod stored_headers;

pub use body::BodyEncoding;
pub use headers::{CREDENTIAL_HEADERS, KeptHeaders};
pub use import::{ImportEnd, ImportError, ImportOptions, ImportProgress, ImportReport, RejectedLine};
pub use intake::{Intake, IntakeError, IntakeLimits, Receipt};
pub use naming::{add_words, name_events};
pub use okta_api::{ApiOptions, OrgApi, read_org};
pub use org_intake::OrgIntake;
pub use posted::{PostError, PostedBody};
pub use retry::{Retried, RetryReport};
pub use stored_headers::reduce_stored_headers;
