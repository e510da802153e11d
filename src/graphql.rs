//! The graph: types, queries and the subscription. The only place that knows async-graphql; others see a [`Graph`].

mod answer;
mod catalogue;
mod compiled;
mod connection;
mod cost;
mod documents;
mod error;
mod execute;
mod filter;
mod ingestion;
mod limits;
mod loaders;
mod node;
mod order;
mod print;
mod query;
mod reads;
mod rejected;
mod request;
mod root;
mod scalars;
mod statistics;
mod subscription;
mod sync_event;
mod text;
mod tokens;
mod writer;

pub use answer::{Answer, Verdict};
pub use documents::{DocumentOptions, syntax_fault};
pub use execute::{Graph, GraphOptions, Operation, OperationKind, RequestError, Subscription};
pub use limits::DocumentLimits;
pub use request::{BodyError, GraphBody, GraphRequest};
pub use text::JsonText;

use std::collections::BTreeMap;

use async_graphql::{EmptyMutation, Schema, SchemaBuilder, ValidationMode};

use crate::live::Live;

type SluiceSchema = Schema<query::Query, EmptyMutation, subscription::Subscription>;

/// What resolvers use.
#[derive(Clone)]
struct SchemaParts {
    live: Live,
    urls: OrgUrls,
    orgs: Orgs,
}

/// The configured names of all orgs.
#[derive(Clone, Debug, Default)]
struct Orgs(Vec<String>);

/// The addresses of the orgs, for links into their admin consoles.
#[derive(Clone)]
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

/// The schema; without `validation`, for requests that are known to be valid.
fn schema(parts: &SchemaParts, introspection: bool, validation: ValidationMode) -> SluiceSchema {
    let SchemaParts { live, urls, orgs } = parts.clone();
    // Suggestions tell names of the schema, too.
    let builder = if introspection { builder() } else { builder().disable_introspection().disable_suggestions() };
    let builder = builder.validation_mode(validation);
    // Each request brings what it reads from; see `reads`.
    builder.data(live).data(urls).data(orgs).finish()
}
