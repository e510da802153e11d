//! The schema, made of the types beside this file.

use async_graphql::{EmptyMutation, SDLExportOptions, Schema, SchemaBuilder, ValidationMode};

use super::directives::PriceDirectives;
use super::orgs::{OrgUrls, Orgs};
use super::query::Query;
use super::subscription::SubscriptionRoot;
use crate::language::validation::MAX_NESTING;
use crate::live::Live;

/// The schema of the gateway.
pub(in crate::graphql) type SluiceSchema = Schema<Query, EmptyMutation, SubscriptionRoot>;

/// The data that all requests share.
#[derive(Clone)]
pub(in crate::graphql) struct SchemaParts {
    pub(in crate::graphql) live: Live,
    pub(in crate::graphql) urls: OrgUrls,
    pub(in crate::graphql) orgs: Orgs,
}

fn builder() -> SchemaBuilder<Query, EmptyMutation, SubscriptionRoot> {
    // Validation has limited the depth before.
    let builder = Schema::build(Query, EmptyMutation, SubscriptionRoot).limit_recursive_depth(MAX_NESTING + 1);
    builder.directive(PriceDirectives)
}

/// The description of the schema.
pub(in crate::graphql) const DESCRIPTION: &str = include_str!("schema.md");

/// The schema without what its resolvers need.
pub(in crate::graphql) fn unbound_schema() -> SluiceSchema {
    builder().finish()
}

/// A schema in GraphQL's schema language, as async-graphql prints it.
pub(in crate::graphql) fn plain_sdl(schema: &SluiceSchema) -> String {
    schema.sdl_with_options(SDLExportOptions::new().include_specified_by())
}

/// Creates the schema, which executes valid requests only.
pub(in crate::graphql) fn schema(parts: &SchemaParts, introspection: bool) -> SluiceSchema {
    let SchemaParts { live, urls, orgs } = parts.clone();
    let builder = if introspection { builder() } else { builder().disable_introspection() };
    // Requests were validated before; see `language::validation`.
    let builder = builder.validation_mode(ValidationMode::Fast);
    // Each request brings what it reads from; see `answer::reads`.
    builder.data(live).data(urls).data(orgs).finish()
}
