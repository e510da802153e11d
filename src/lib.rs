//! sluice takes in every identity sync event that Okta tells, keeps it, answers questions about it and pushes it on.
//!
//! # Layout
//!
//! In reading order, each module using only those before it:
//!
//! * [`event`]: what happened, and how one asks for it
//! * [`okta`]: Okta's wire formats, and a client of its APIs
//! * [`store`]: PostgreSQL, the only place that knows SQL
//! * [`log`]: the log over the store: append in order, read from a position
//! * [`ingest`]: the ways in
//! * [`live`]: the ways on, to everybody who waits
//! * [`auth`]: who is asking
//! * [`graphql`]: the graph
//! * [`serve`]: HTTP and WebSockets
//! * [`config`], [`telemetry`], [`app`]: settings, logs and metrics, and the wiring

mod apart;
pub mod app;
pub mod auth;
pub mod config;
pub mod event;
pub mod graphql;
pub mod ingest;
pub mod live;
pub mod log;
pub mod okta;
mod recent;
pub mod serve;
pub mod store;
pub mod telemetry;
