//! A stand-in Okta organisation: people, applications, what happens among them, and the event hook that tells of it.
//!
//! # Layout
//!
//! * [`organisation`]: an org made from a seed; it yields what happens in it, one event after the other.
//! * [`event`]: such an event, as the System Log prints it and as an event hook does.
//! * [`hook`]: deliveries, what goes wrong with them on the way (a plan of duplicates, late and overtaken ones), and
//!   the sender that delivers them by Okta's rules.
//! * [`log_stream`]: Log Streaming, by way of Amazon EventBridge.
//! * [`system_log`]: the System Log, in the order in which events were persisted.
//! * [`api`]: the System Log, the applications and OAuth 2 over HTTP, with Okta's rules and its limits.
//!
//! Everything but the sending and the APIs is a function of the seed and of the times that the caller gives.

pub mod api;
pub mod event;
pub mod hook;
pub mod log_stream;
pub mod organisation;
pub mod system_log;

mod random;

pub use api::{
    ApiOptions, ApiToken, AppDirectory, AppRecord, AppStatus, Fault, OktaApi, RateLimit, Scope, SeenRequest, ServiceApp,
};
pub use event::LogEvent;
pub use hook::{
    Behaviour, Courier, Delivery, DeliveryPlan, DeliveryReport, EventHook, Fate, HookSender, HookSenderError,
    HookSenderOptions, PlanCounts, Tally, VerifyError,
};
pub use log_stream::LogStream;
pub use organisation::{Application, Instance, Organisation, OrganisationOptions, Person};
pub use system_log::{LogEntry, SystemLog};
