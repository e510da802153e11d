//! The whole gateway, over real sockets and a real PostgreSQL.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod consistency;
mod database;
mod events;
mod gateway;
mod process;
mod socket;
mod traffic;

mod access;
mod append;
mod backpressure;
mod card;
mod catalogue;
mod evolution;
mod graphiql;
mod graphql_executor;
mod hook;
mod kills;
mod live;
mod malformed;
mod new_months;
mod npm;
mod pages;
mod positions;
mod private_postgres;
mod schema;
mod settings;
mod status;
mod stopped;
mod tidy;
mod websocket;
