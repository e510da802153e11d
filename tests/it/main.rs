//! The whole gateway, over real sockets and a real PostgreSQL.

mod consistency;
mod database;
mod events;
mod gateway;
mod socket;
mod traffic;

mod graphql_executor;
mod live;
mod positions;
mod tidy;
