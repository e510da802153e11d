//! The graph as others see it: requests in, JSON out.

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, Variables};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::Deserialize;

use super::{OrgUrls, SluiceSchema, cost};
use crate::auth::Viewer;
use crate::live::Live;
use crate::store::Store;

/// The graph, ready to be asked. Clones are the same one.
#[derive(Clone)]
pub struct Graph(SluiceSchema);

/// A GraphQL request as GraphQL over HTTP and graphql-transport-ws write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// It asks.
    Query,
    /// It changes something.
    Mutation,
    /// It waits.
    Subscription,
}

/// An operation that is to be executed.
pub struct Operation {
    /// What it does.
    pub kind: OperationKind,
    request: Request,
}

/// An answer: JSON, and what a transport must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response object.
    pub json: String,
    /// The request itself was refused: there is no data, not even null.
    pub is_request_error: bool,
    /// Only the `errors` list, for transports that send it by itself; empty where there are none.
    pub errors: String,
}

/// Why a request is no operation: a document that cannot be read, or one that names no operation of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.json)]
pub struct RequestError(pub Answer);

impl Graph {
    /// The graph over a store and its live side.
    pub fn new(store: Store, live: Live, urls: OrgUrls) -> Self {
        Self(super::schema(store, live, urls))
    }

    /// Reads a request: parses its document, weighs it and finds its operation.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn operation(&self, request: GraphRequest, viewer: Viewer) -> Result<Operation, RequestError> {
        let refused = |message: String| {
            RequestError(Answer::new(&Response::from_errors(vec![async_graphql::ServerError::new(message, None)])))
        };
        let variables = serde_json::Value::Object(request.variables.unwrap_or_default());
        let mut operation = Request::new(request.query).variables(Variables::from_json(variables)).data(viewer);
        if let Some(name) = &request.operation_name {
            operation = operation.operation_name(name);
        }
        let document = match operation.parsed_query() {
            Ok(document) => document,
            Err(error) => return Err(RequestError(Answer::new(&Response::from_errors(vec![error])))),
        };
        if cost::expanded_fields(document) > cost::MAX_FIELDS {
            return Err(refused(format!(
                "the document has more than {} fields once its fragments are expanded: ask for less at once",
                cost::MAX_FIELDS
            )));
        }
        let mut operations = document.operations.iter();
        let found = match &request.operation_name {
            Some(name) => operations.find(|(known, _)| known.is_some_and(|known| known.as_str() == name)),
            None => operations.next().filter(|_| operations.next().is_none()),
        };
        let Some((_, found)) = found else {
            return Err(refused("say with `operationName` which of the document's operations is meant".to_owned()));
        };
        let kind = match found.node.ty {
            OperationType::Query => OperationKind::Query,
            OperationType::Mutation => OperationKind::Mutation,
            OperationType::Subscription => OperationKind::Subscription,
        };
        Ok(Operation { kind, request: operation })
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, operation: Operation) -> Answer {
        Answer::new(&self.0.execute(operation.request).await)
    }

    /// Executes a subscription: an answer for each event.
    pub fn subscribe(&self, operation: Operation) -> BoxStream<'static, Answer> {
        self.0.execute_stream(operation.request).map(|response| Answer::new(&response)).boxed()
    }
}

impl Answer {
    fn new(response: &Response) -> Self {
        let errors = if response.errors.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&response.errors).unwrap_or_default()
        };
        // Errors of the request have no path: nothing was executed. Its answer has no `data`.
        let is_request_error = !response.errors.is_empty()
            && response.data == async_graphql::Value::Null
            && response.errors.iter().all(|error| error.path.is_empty());
        let json = if is_request_error {
            format!(r#"{{"errors":{errors}}}"#)
        } else {
            serde_json::to_string(response).unwrap_or_else(|error| {
                tracing::error!(%error, "could not print an answer");
                r#"{"errors":[{"message":"the gateway failed; its log says why"}]}"#.to_owned()
            })
        };
        Self { json, is_request_error, errors }
    }
}
