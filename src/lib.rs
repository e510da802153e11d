//! sluice takes in every identity sync event that Okta tells, keeps it, answers questions about it and pushes it on.

pub mod auth;
pub mod event;
pub mod graphql;
pub mod ingest;
pub mod live;
pub mod log;
pub mod okta;
pub mod store;
