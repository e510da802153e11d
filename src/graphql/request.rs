//! Requests: what HTTP and WebSockets bring, and the checks of a document before async-graphql executes it.

pub(super) mod limits;
pub(super) mod refusal;

pub(super) mod documents;
pub(super) mod schema_types;

pub(super) mod fragments;
pub(super) mod variables;

pub(super) mod compiled;
mod executable;
mod subscription_root;

pub(super) mod cost;
pub(super) mod omitted;
pub(super) mod scopes;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A request: a document or its id, the name of one of its operations, and the values of the variables.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RequestJson")]
pub struct GraphRequest {
    /// The document.
    pub query: Option<String>,
    /// The id of a trusted document.
    pub document_id: Option<String>,
    /// The SHA-256 of the document, by Apollo's protocol: `extensions.persistedQuery.sha256Hash`.
    pub persisted_hash: Option<String>,
    /// The name of the operation.
    pub operation_name: Option<String>,
    /// The variables' values.
    pub variables: Map<String, Value>,
    /// True if the answer is to have its cost: `extensions.cost` is true.
    pub wants_cost: bool,
}

/// The JSON of a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a GraphQL request: an object with `query`")]
struct RequestJson {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    extensions: Option<Map<String, Value>>,
}

/// The content of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphBody {
    /// A request.
    One(GraphRequest),
    /// A batch of requests.
    Batch(Vec<GraphRequest>),
}

/// A body that is no request, with a message for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body is neither a request nor a batch.
    Malformed(String),
    /// The body is a batch of more requests than allowed.
    BatchTooLarge(String),
}

impl TryFrom<RequestJson> for GraphRequest {
    type Error = &'static str;

    fn try_from(written: RequestJson) -> Result<Self, &'static str> {
        let persisted_hash = match written.extensions.as_ref().and_then(|known| known.get("persistedQuery")) {
            None | Some(Value::Null) => None,
            Some(persisted) => Some(hash(persisted).ok_or(
                "`extensions.persistedQuery` must be an object with `version` 1 and `sha256Hash`, 64 hexadecimal digits",
            )?),
        };
        let cost = written.extensions.as_ref().and_then(|known| known.get("cost"));
        if written.query.is_none() && written.document_id.is_none() && persisted_hash.is_none() {
            return Err("`query` is missing");
        }
        if written.query.is_some() && written.document_id.is_some() {
            return Err("give `query` or `documentId`, not both");
        }
        Ok(Self {
            query: written.query,
            document_id: written.document_id,
            persisted_hash,
            operation_name: written.operation_name,
            variables: written.variables.unwrap_or_default(),
            wants_cost: cost.is_some_and(|cost| *cost == Value::Bool(true)),
        })
    }
}

/// The hash of `persistedQuery`, in lower case.
fn hash(persisted: &Value) -> Option<String> {
    let hash = persisted.get("sha256Hash")?.as_str()?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_hash && persisted.get("version")?.as_u64() == Some(1)).then(|| hash.to_ascii_lowercase())
}

impl GraphBody {
    /// Reads a body's JSON: a request, or a batch of at most `most` requests (0: no batches).
    ///
    /// # Errors
    /// The body is no request, or the batch is too large.
    pub fn from_json(json: &[u8], most: usize) -> Result<Self, BodyError> {
        if !json.trim_ascii_start().starts_with(b"[") {
            return request(json, "the body").map(Self::One);
        }
        let parts: Vec<&RawValue> = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
        match parts.len() {
            0 => Err(BodyError::Malformed("the body is a batch without requests".to_owned())),
            _ if most == 0 => Err(BodyError::BatchTooLarge("batches are not accepted here (limits.batch)".to_owned())),
            count if count > most => Err(BodyError::BatchTooLarge(format!(
                "the body is a batch of {count} requests, at most {most} are allowed (limits.batch)"
            ))),
            _ => {
                let parts = parts.iter().enumerate();
                let requests =
                    parts.map(|(at, part)| request(part.get().as_bytes(), &format!("request {} of the batch", at + 1)));
                requests.collect::<Result<_, _>>().map(Self::Batch)
            }
        }
    }
}

fn request(json: &[u8], what: &str) -> Result<GraphRequest, BodyError> {
    serde_json::from_slice(json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => BodyError::Malformed(format!("{what} is not a GraphQL request: {error}")),
        _ => not_json(&error),
    })
}

fn not_json(error: &serde_json::Error) -> BodyError {
    BodyError::Malformed(format!("the body is not JSON: {error}"))
}

impl GraphRequest {
    /// Reads a request from the parameters of a URL.
    ///
    /// # Errors
    /// A message for the client about the wrong parameter.
    pub fn from_parameters(parameters: Vec<(String, String)>) -> Result<Self, String> {
        let mut known = HashMap::new();
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Some((name, _)) = known.remove_entry(&name) {
                return Err(format!("the parameter `{name}` is there twice"));
            }
            known.insert(name, value);
        }
        let object = |name: &str| match known.get(name) {
            None => Ok(None),
            Some(text) => serde_json::from_str::<Option<Map<_, _>>>(text)
                .map_err(|error| format!("the parameter `{name}` is not a JSON object: {error}")),
        };
        let (variables, extensions) = (object("variables")?, object("extensions")?);
        let written = RequestJson {
            query: known.remove("query"),
            document_id: known.remove("documentId"),
            operation_name: known.remove("operationName"),
            variables,
            extensions,
        };
        Self::try_from(written).map_err(|fault| format!("the address holds no GraphQL request: {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<GraphBody, BodyError> {
        GraphBody::from_json(json.as_bytes(), 2)
    }

    #[test]
    fn a_request_names_its_document_in_one_of_three_ways() {
        let hash = "ECF4EDB46DB40B5132295C0291D62FB65D6759A9EEDFA4D5D612DD5EC54A6B38";
        let persisted = format!(r#"{{"extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}}}"#);
        let Ok(GraphBody::One(request)) = read(&persisted) else { panic!("expected a request") };
        assert_eq!(request.persisted_hash, Some(hash.to_ascii_lowercase()));
        for good in
            [r#"{"query":"{a}"}"#, r#"{"documentId":"a"}"#, r#"{"query":"{a}","extensions":{"persistedQuery":null}}"#]
        {
            assert!(matches!(read(good), Ok(GraphBody::One(_))), "{good}");
        }
        for (bad, says) in [
            ("{}", "`query` is missing"),
            (r#"{"query":null}"#, "`query` is missing"),
            (r#"{"query":"{a}","documentId":"a"}"#, "not both"),
            (r#"{"extensions":{"persistedQuery":{"sha256Hash":"x"}}}"#, "64 hexadecimal digits"),
            (&persisted.replace(":1", ":2"), "`version` 1"),
            (r#"{"query":7}"#, "expected a string"),
            (r#"[{"query":"{a}"},{"query":7}]"#, "request 2 of the batch"),
            ("[]", "without requests"),
            ("[1", "not JSON"),
            ("7", "an object with `query`"),
        ] {
            let Err(BodyError::Malformed(said)) = read(bad) else { panic!("{bad} was read") };
            assert!(said.contains(says), "{bad}: {said}");
        }
    }

    #[test]
    fn batches_are_bounded() {
        let batch = |count| format!("[{}]", vec![r#"{"query":"{a}"}"#; count].join(","));
        assert!(matches!(read(&format!(" {}", batch(2))), Ok(GraphBody::Batch(requests)) if requests.len() == 2));
        assert!(matches!(read(&batch(3)), Err(BodyError::BatchTooLarge(said)) if said.contains("at most 2")));
        let off = GraphBody::from_json(batch(1).as_bytes(), 0);
        assert!(matches!(off, Err(BodyError::BatchTooLarge(said)) if said.contains("not accepted")));
    }
}
