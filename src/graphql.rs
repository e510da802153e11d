//! The graph: types, queries and the subscription. The only place that knows async-graphql; others see a [`Graph`].

mod answer;
mod catalogue;
mod connection;
mod cost;
mod documents;
mod error;
mod execute;
mod filter;
mod limits;
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
mod tokens;
mod writer;

pub use answer::{Answer, Verdict};
pub use documents::{DocumentOptions, syntax_fault};
pub use execute::{Graph, GraphOptions, Operation, OperationKind, RequestError};
pub use limits::DocumentLimits;
pub use request::{BodyError, GraphBody, GraphRequest};

use std::collections::BTreeMap;

use async_graphql::dataloader::DataLoader;
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use async_graphql::{EmptyMutation, Schema, SchemaBuilder};

use crate::live::Live;
use crate::store::Store;

type SluiceSchema = Schema<query::Query, EmptyMutation, subscription::Subscription>;

/// The addresses of the orgs, for links into their admin consoles.
pub struct OrgUrls(pub BTreeMap<String, String>);

fn builder() -> SchemaBuilder<query::Query, EmptyMutation, subscription::Subscription> {
    // How deep, and how much of anything, is weighed before; see `cost`.
    Schema::build(query::Query, EmptyMutation, subscription::Subscription).limit_recursive_depth(cost::MAX_NESTING + 1)
}

/// The graph in GraphQL's schema language.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().include_specified_by();
    builder().finish().sdl_with_options(options)
}

fn schema(store: Store, live: Live, urls: OrgUrls, introspection: bool) -> SluiceSchema {
    let loader = DataLoader::new(loaders::StoreLoader(store.clone()), TokioSpawner::current(), TokioTimer::default());
    // Suggestions tell names of the schema, too.
    let builder = if introspection { builder() } else { builder().disable_introspection().disable_suggestions() };
    builder.data(loader.delay(std::time::Duration::ZERO)).data(store).data(live).data(urls).finish()
}
