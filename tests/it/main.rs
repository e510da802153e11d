//! The whole gateway, over real sockets and a real PostgreSQL.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod consistency;
mod database;
mod events;
mod gateway;
mod nats_server;
mod process;
mod socket;
mod traffic;

mod access;
mod append;
mod backpressure;
mod bad_queries;
mod card;
mod catalogue;
mod documents;
mod error_codes;
mod evolution;
mod filters;
mod graphiql;
mod graphql_executor;
mod graphql_http;
mod hook;
mod kills;
mod live;
mod malformed;
mod nats;
mod nats_faults;
mod new_months;
mod npm;
mod orders;
mod pages;
mod positions;
mod private_postgres;
mod schema;
mod settings;
mod statements;
mod statistics;
mod status;
mod stopped;
mod tidy;
mod time_limits;
mod websocket;
