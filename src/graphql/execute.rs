//! The graph as others see it: requests in, JSON out.

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Pos, Request, Response, Variables};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::error::coded;
use super::loaders::WaitsForDatabase;
use super::{GraphRequest, OrgUrls, SluiceSchema, cost, print};
use crate::auth::Viewer;
use crate::live::Live;
use crate::store::Store;

/// The graph, ready to be asked. Clones are the same one.
#[derive(Clone)]
pub struct Graph(SluiceSchema);

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

impl Answer {
    /// An answer to a request that is not executed.
    pub fn refusal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(&Response::from_errors(vec![coded(code, message).into_server_error(Pos::default())]))
    }

    /// Whether anything went wrong.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }
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
        let refused = |message: &str| RequestError(Answer::refusal("BAD_REQUEST", message));
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
            let limit = cost::MAX_FIELDS;
            let message = format!("the document has more than {limit} fields once its fragments are expanded");
            return Err(RequestError(Answer::refusal("TOO_COMPLEX", message)));
        }
        let mut operations = document.operations.iter();
        let found = match &request.operation_name {
            Some(name) => operations.find(|(known, _)| known.is_some_and(|known| known.as_str() == name)),
            None => operations.next().filter(|_| operations.next().is_none()),
        };
        let Some((_, found)) = found else {
            return Err(refused("say with `operationName` which of the document's operations is meant"));
        };
        let kind = match found.node.ty {
            OperationType::Query => OperationKind::Query,
            OperationType::Mutation => OperationKind::Mutation,
            OperationType::Subscription => OperationKind::Subscription,
        };
        // The executor would merge the streams of several fields, and silently pass over a fragment.
        let is_one_field =
            || matches!(&*found.node.selection_set.node.items, [one] if matches!(one.node, Selection::Field(_)));
        if kind == OperationKind::Subscription && !is_one_field() {
            return Err(refused("a subscription has one field at its root, which may not stand in a fragment"));
        }
        Ok(Operation { kind, request: operation })
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, operation: Operation) -> Answer {
        Answer::new(&self.0.execute(operation.request).await)
    }

    /// Executes a subscription: an answer for each event. An answer with errors is the last one: whoever gets it resumes
    /// from the last event's position, so that no event is told half.
    pub fn subscribe(&self, operation: Operation) -> BoxStream<'static, Answer> {
        let responses = self.0.execute_stream(operation.request.data(WaitsForDatabase));
        let until_errors = responses.scan(false, |ended, response| {
            let answer = (!*ended).then(|| Answer::new(&response));
            *ended = !response.errors.is_empty();
            std::future::ready(answer)
        });
        until_errors.boxed()
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
        let json = if is_request_error { format!(r#"{{"errors":{errors}}}"#) } else { print::response(response) };
        Self { json, is_request_error, errors }
    }
}
