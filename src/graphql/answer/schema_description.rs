//! The description of the schema, in introspection: async-graphql has a text of its own in its place.

use async_graphql::Value;

/// The beginning of async-graphql's text.
const FIXED: &str = "A GraphQL Schema defines the capabilities of a GraphQL server.";

/// Puts the schema's description into the answer to an operation that selects it, under whatever names.
pub(in crate::graphql) fn describe(data: &mut Value, description: &str) {
    let Value::Object(roots) = data else { return };
    for root in roots.values_mut() {
        let Value::Object(fields) = root else { continue };
        for field in fields.values_mut() {
            if matches!(field, Value::String(text) if text.starts_with(FIXED)) {
                *field = Value::String(description.to_owned());
            }
        }
    }
}
