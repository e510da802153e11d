//! The directives of the schema.

use async_graphql::TypeDirective;

/// The field is null only if it has failed, and then `errors` has the reason. The type allows null, so that the rest of the
/// answer stays as it is. `levels` are the depths of nested lists that the directive is about.
#[TypeDirective(name = "semanticNonNull", location = "FieldDefinition")]
pub(super) fn semantic_non_null(#[graphql(default_with = "vec![0]")] levels: Vec<i32>) {}
