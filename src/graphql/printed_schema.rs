//! The schema as people and tools read it. async-graphql's text lacks the prices, the description of the schema, and those
//! of the arguments of directives.

use std::collections::HashMap;

use futures_util::FutureExt as _;
use serde_json::Value;

use super::request::cost::Prices;
use super::types::schema::{DESCRIPTION, plain_sdl, unbound_schema};
use crate::language::printed::{Additions, complete};

/// The graph in GraphQL's schema language.
pub fn sdl() -> String {
    let schema = unbound_schema();
    let plain = plain_sdl(&schema);
    let response = schema.execute("{ __schema { directives { name args { name description } } } }").now_or_never();
    let directives = response.and_then(|response| response.data.into_json().ok()).unwrap_or_default();
    let additions = Additions {
        description: DESCRIPTION.trim_end().to_owned(),
        directives: Prices::new(&plain).directives(&plain),
        descriptions: argument_descriptions(&directives["__schema"]["directives"]),
    };
    complete(&plain, &additions)
}

fn argument_descriptions(directives: &Value) -> HashMap<String, String> {
    let mut all = HashMap::new();
    for directive in directives.as_array().into_iter().flatten() {
        for argument in directive["args"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let path = format!("@{}.{}", text(&directive["name"]), text(&argument["name"]));
            all.insert(path, text(&argument["description"]));
        }
    }
    all
}
