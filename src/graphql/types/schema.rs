//! The schema, made of the types beside this file.

use async_graphql::{EmptyMutation, Schema, SchemaBuilder, ValidationMode};

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
    Schema::build(Query, EmptyMutation, SubscriptionRoot).limit_recursive_depth(MAX_NESTING + 1)
}

/// The graph in GraphQL's schema language.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().include_specified_by();
    builder().finish().sdl_with_options(options)
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
