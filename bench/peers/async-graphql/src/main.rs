//! A server that a Rust team would write instead of sluice: pages of events and a subscription with async-graphql and
//! async-graphql-axum, as their documents show them, and sqlx over sluice's tables. A subscription has no way to resume.
//! `DATABASE_URL` names the database, `PORT` the port on the loopback address.

mod event;
mod page;
mod tail;

use std::net::Ipv4Addr;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use async_graphql::connection::{Connection, Edge, query};
use async_graphql::{EmptyMutation, InputObject, Object, Schema, Subscription};
use async_graphql_axum::{GraphQL, GraphQLSubscription};
use axum::Router;
use axum::routing::get_service;
use futures_util::{Stream, StreamExt as _};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use event::SyncEvent;

/// Connections to the database.
const CONNECTIONS: u32 = 16;

/// Events that a subscriber may be behind.
const BEHIND: usize = 1024;

/// The largest page.
const LARGEST: usize = 1000;

struct Query {
    pool: PgPool,
}

struct Subscription {
    events: broadcast::Sender<SyncEvent>,
}

#[derive(InputObject)]
struct SyncEventFilter {
    application_instances: Option<Vec<String>>,
}

#[Object]
impl Query {
    async fn sync_events(
        &self,
        filter: Option<SyncEventFilter>,
        #[graphql(default = 50)] first: i32,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<String, SyncEvent>> {
        query(after, None, Some(first), None, |after: Option<String>, _, first, _| async move {
            let first = first.unwrap_or_default().min(LARGEST);
            let instances = filter.and_then(|filter| filter.application_instances);
            let after = after.as_deref().map(page::read_cursor).transpose()?;
            let mut events = page::read(&self.pool, instances, after, first + 1).await?;
            let mut connection = Connection::new(after.is_some(), events.len() > first);
            events.truncate(first);
            connection.edges.extend(events.into_iter().map(|event| Edge::new(page::cursor(&event), event)));
            Ok::<_, async_graphql::Error>(connection)
        })
        .await
    }
}

#[Subscription]
impl Subscription {
    async fn sync_events(&self) -> impl Stream<Item = SyncEvent> {
        // A subscriber that is too far behind misses events.
        BroadcastStream::new(self.events.subscribe()).filter_map(async |event| event.ok())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    // Each statement is planned once: PostgreSQL may plan a page of many partitions anew each time otherwise.
    let settings = [("timezone", "UTC"), ("jit", "off"), ("plan_cache_mode", "force_generic_plan")];
    let options = PgConnectOptions::from_str(&variable("DATABASE_URL")?)?.options(settings);
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
    let events = broadcast::Sender::new(BEHIND);
    tokio::spawn(tail::follow(pool.clone(), events.clone()));
    let schema = Schema::new(Query { pool }, EmptyMutation, Subscription { events });
    let service = get_service(GraphQLSubscription::new(schema.clone())).post_service(GraphQL::new(schema));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, variable("PORT")?.parse()?)).await?;
    axum::serve(listener, Router::new().route("/graphql", service)).await?;
    Ok(())
}
