//! The graph: types, queries and the subscription. The only place that knows async-graphql; others see a [`Graph`].

mod catalogue;
mod connection;
mod cost;
mod error;
mod execute;
mod filter;
mod loaders;
mod node;
mod order;
mod print;
mod query;
mod request;
mod scalars;
mod statistics;
mod subscription;
mod sync_event;
mod writer;

pub use execute::{Answer, Graph, Operation, OperationKind, RequestError};
pub use request::GraphRequest;

use std::collections::BTreeMap;

use async_graphql::dataloader::DataLoader;
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use async_graphql::{EmptyMutation, Schema, SchemaBuilder};

use crate::live::Live;
use crate::store::Store;

type SluiceSchema = Schema<query::Query, EmptyMutation, subscription::Subscription>;

/// How deep fields may be nested. GraphiQL's introspection needs 15.
const MAX_DEPTH: usize = 20;

/// The addresses of the orgs, for links into their admin consoles.
pub struct OrgUrls(pub BTreeMap<String, String>);

fn builder() -> SchemaBuilder<query::Query, EmptyMutation, subscription::Subscription> {
    Schema::build(query::Query, EmptyMutation, subscription::Subscription).limit_depth(MAX_DEPTH)
}

/// The graph in GraphQL's schema language.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().include_specified_by();
    builder().finish().sdl_with_options(options)
}

fn schema(store: Store, live: Live, urls: OrgUrls) -> SluiceSchema {
    let loader = DataLoader::new(loaders::StoreLoader(store.clone()), TokioSpawner::current(), TokioTimer::default());
    builder().data(loader.delay(std::time::Duration::ZERO)).data(store).data(live).data(urls).finish()
}
