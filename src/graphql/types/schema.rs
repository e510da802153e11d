//! The schema, made of the types beside this file.

use async_graphql::{EmptyMutation, Schema, SchemaBuilder, ValidationMode};

use super::orgs::{OrgUrls, Orgs};
use super::query::Query;
use super::subscription::SubscriptionRoot;
use crate::graphql::request::cost::MAX_NESTING;
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
    // The cost check has limited depth and size before; see `request::cost`.
    Schema::build(Query, EmptyMutation, SubscriptionRoot).limit_recursive_depth(MAX_NESTING + 1)
}

/// The graph in GraphQL's schema language.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().include_specified_by();
    builder().finish().sdl_with_options(options)
}

/// Creates the schema; without `validation`, for requests that are known to be valid.
pub(in crate::graphql) fn schema(parts: &SchemaParts, introspection: bool, validation: ValidationMode) -> SluiceSchema {
    let SchemaParts { live, urls, orgs } = parts.clone();
    // Suggestions tell names of the schema, too.
    let builder = if introspection { builder() } else { builder().disable_introspection().disable_suggestions() };
    let builder = builder.validation_mode(validation);
    // Each request brings what it reads from; see `answer::reads`.
    builder.data(live).data(urls).data(orgs).finish()
}
