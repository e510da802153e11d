//! The whole gateway, over real sockets and a real PostgreSQL.

mod database;
mod events;
mod gateway;
mod socket;

mod live;
mod tidy;
