//! A simulated Okta organisation: people, applications, events, and the event hook that delivers them.
//!
//! # Layout
//!
//! * [`organisation`]: an org generated from a seed, which yields one event after the other.
//! * [`event`]: such an event, in the formats of the System Log and of event hooks.
//! * [`hook`]: deliveries, a plan of their faults (duplicates, late and reordered ones), and the sender, which follows
//!   Okta's rules.
//! * [`issuer`]: a custom authorization server, whose access tokens give rights at a gateway.
//! * [`log_stream`]: Log Streaming through Amazon EventBridge.
//! * [`system_log`]: the System Log, in the order in which events were persisted.
//! * [`api`]: the System Log, the applications and OAuth 2 over HTTP, with Okta's rules and limits.
//!
//! Everything except the sender and the APIs is a function of the seed and of the times that the caller passes.

pub mod api;
pub mod event;
pub mod hook;
pub mod issuer;
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
pub use issuer::{
    AuthorizationServer, CLIENT_ID, CLIENT_SECRET, IssuerBehaviour, IssuerOptions, ServiceClient, SignInBehaviour,
};
pub use log_stream::LogStream;
pub use organisation::{Application, Instance, Organisation, OrganisationOptions, Person};
pub use system_log::{LogEntry, SystemLog};
