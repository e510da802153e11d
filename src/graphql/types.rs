//! The schema's types and their resolvers.
//!
//! Objects lead to each other in circles. Their structs are in `nodes`, and their resolvers in files that use it, so
//! that no two files use each other.

mod query;
pub(super) mod subscription;

mod nodes;

mod catalogue;
mod rejected;
mod sync_event;

mod connection;
mod event_lists;
mod page;
mod printed_list;

pub(super) mod filter;
mod order;

mod ingestion;
mod statistics;

mod viewer;

mod count;
mod directives;
mod enums;
pub(super) mod scalars;

pub(super) mod orgs;
pub(super) mod schema;
