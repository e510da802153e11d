//! A GraphQL request, as HTTP and WebSockets bring it.

use std::collections::HashMap;

use serde::Deserialize;

/// A request: a document, which of its operations, and the variables' values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a GraphQL request: an object with `query`")]
pub struct GraphRequest {
    /// The document.
    pub query: String,
    /// Which of its operations.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// The variables' values.
    #[serde(default)]
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// Room for extensions; none is known.
    #[serde(default)]
    pub extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl GraphRequest {
    /// Reads a request's JSON.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let read: Result<Self, _> = serde_json::from_slice(json);
        read.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => format!("the body is not a GraphQL request: {error}"),
            _ => format!("the body is not JSON: {error}"),
        })
    }

    /// Reads a request out of the parameters of an address.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn from_parameters(mut parameters: HashMap<String, String>) -> Result<Self, String> {
        let query = parameters.remove("query").ok_or("the parameter `query` is missing")?;
        let mut object = |name: &str| match parameters.remove(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => serde_json::from_str::<Option<serde_json::Map<_, _>>>(&text)
                .map_err(|error| format!("the parameter `{name}` is not a JSON object: {error}")),
        };
        let (variables, extensions) = (object("variables")?, object("extensions")?);
        let operation_name = parameters.remove("operationName").filter(|name| !name.is_empty());
        Ok(Self { query, operation_name, variables, extensions })
    }
}
