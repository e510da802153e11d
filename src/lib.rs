//! sluice takes in every identity sync event that Okta tells, keeps it, answers questions about it and pushes it on.
//!
//! # Layout
//!
//! In reading order, each module using only those before it:
//!
//! * [`event`]: what happened, and how one asks for it
//! * [`okta`]: Okta's wire formats, and a client of its APIs
//! * [`postgres`]: PostgreSQL as a server: the private one, the one of a URL, and connections
//! * [`store`]: the tables, and all the SQL
//! * [`log`]: the log over the store: append in order, read from a position
//! * [`ingest`]: the ways in
//! * [`live`]: live delivery of new events to every subscriber that wants them
//! * [`auth`]: who is asking
//! * [`graphql`]: the graph
//! * [`serve`]: HTTP and WebSockets
//! * [`config`], [`telemetry`], [`app`]: settings, logs and metrics, and the wiring

mod abort_on_drop;
pub mod app;
pub mod auth;
mod backoff;
pub mod config;
pub mod event;
pub mod graphql;
pub mod ingest;
pub mod live;
pub mod log;
mod lru_cache;
pub mod okta;
pub mod postgres;
pub mod serve;
pub mod store;
pub mod telemetry;
