//! sluice receives every identity sync event that Okta emits, stores it exactly once, answers queries and pushes
//! subscriptions.
//!
//! # Layout
//!
//! In reading order, each module using only those before it:
//!
//! * [`event`]: events, positions, filters and rights: plain data without I/O
//! * `language`: GraphQL's language: documents, their validation, and the values of variables
//! * [`okta`]: Okta's wire formats, and a client of its APIs
//! * [`postgres`]: PostgreSQL as a server: the private one, the one of a URL, and connections
//! * [`store`]: the log's tables: appends and reads in SQL
//! * [`ledger`], [`catalogue`], [`access`]: the record of what came by which way in; the applications of each org; who may
//!   come in
//! * [`log`]: the log on top of the store: appends in order, reads with a reader's rights
//! * [`ingest`]: the sources of events, and the intake
//! * [`live`]: live delivery of new events to every subscriber that wants them
//! * [`auth`]: authentication of readers and event hooks
//! * [`graphql`]: the GraphQL schema, and the execution of requests
//! * [`serve`]: HTTP and WebSockets
//! * [`config`], [`telemetry`], [`app`]: settings, logs and metrics, and the wiring

mod abort_on_drop;
pub mod access;
mod access_log;
pub mod app;
pub mod auth;
mod backoff;
pub mod catalogue;
pub mod config;
pub mod event;
mod failed_request;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod graphql;
pub mod ingest;
mod language;
pub mod ledger;
pub mod live;
pub mod log;
mod lru_cache;
pub mod okta;
pub mod postgres;
pub mod serve;
pub mod store;
pub mod telemetry;
