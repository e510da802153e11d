//! The graph as other modules see it: a request goes in, and JSON comes out.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Positioned, Response, ServerError, Variables};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Map;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::answer::error::{BUSY, from_resume};
use super::answer::loaders::WaitsForDatabase;
use super::answer::reads::Reads;
use super::answer::schema_description::describe;
use super::operation::{Operation, OperationKind, ParsedRequest};
use super::request::compiled::{Compiled, CompiledDocuments};
use super::request::cost::{self, Prices, VariableValues, Weight};
use super::request::documents::{DocumentOptions, Documents, FoundDocument};
use super::request::limits::DocumentLimits;
use super::request::refusal::RequestRefusal;
use super::request::schema_types::schema_types;
use super::request::{GraphRequest, omitted, scopes};
use super::types::orgs::{OrgUrls, Orgs};
use super::types::schema::{DESCRIPTION, SchemaParts, SluiceSchema, plain_sdl, schema, unbound_schema};
use super::types::subscription::{OnDemand, OneEvent, SubscriptionStart};
use crate::auth::Viewer;
use crate::event::SyncEvent;
use crate::language::parser::parse;
use crate::language::types::{RootKind, SchemaTypes};
use crate::language::validation::validate;
use crate::language::variables::coerce;
use crate::live::{Live, Progress, Subscriber};
use crate::log::Log;
use crate::store::Credential;

/// The graph. Clones share its schema and its caches.
#[derive(Clone)]
pub struct Graph(Arc<GraphParts>);

struct GraphParts {
    schema: SluiceSchema,
    /// The schema's types, against which documents are validated.
    types: SchemaTypes,
    log: Log,
    /// The runtime of all loads, including those for events that are pushed.
    runtime: Handle,
    compiled: CompiledDocuments,
    prices: Prices,
    documents: Documents,
    limits: DocumentLimits,
    timeout: Duration,
    introspection: bool,
}

/// Settings of the graph.
#[derive(Clone, Debug)]
pub struct GraphOptions {
    /// The limits on one request.
    pub limits: DocumentLimits,
    /// Longest time for a query or a mutation. After that, its statements in the database are stopped, too.
    pub timeout: Duration,
    /// True if clients may query the schema.
    pub introspection: bool,
    /// The documents that are executed.
    pub documents: DocumentOptions,
    /// The configured names of all orgs.
    pub orgs: Vec<String>,
}

/// A subscription that runs.
pub struct Subscription {
    /// The subscription's progress, which moves past events that do not match, too.
    pub progress: Progress,
    /// The key of its field in the answers.
    key: String,
    subscriber: Subscriber,
    /// The last answer, which has errors, while the answers before it are taken.
    failed: Option<Answer>,
}

impl Subscription {
    /// Returns the next payloads; waits until there is one. The first one comes at once. The result may be empty if the
    /// operation has an outlet: then the outlet has sent a part of a payload, and the caller must flush the connection.
    ///
    /// # Errors
    /// The last answer, which has errors. The client resumes from the last payload's position.
    pub async fn next(&mut self) -> Result<Vec<Answer>, Answer> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let payloads = self.subscriber.next().await.map_err(|error| Answer::ended(&self.key, from_resume(&error)))?;
        let mut answers: Vec<_> = payloads.into_iter().map(Answer::of_payload).collect();
        if let Some(at) = answers.iter().position(Answer::has_errors) {
            answers.truncate(at + 1);
            self.failed = answers.pop();
        }
        match self.failed.take_if(|_| answers.is_empty()) {
            Some(failed) => Err(failed),
            None => Ok(answers),
        }
    }
}

/// A request without an operation to execute: its document is unknown, not valid or too large, has no operation of the given
/// name, or a variable has a wrong value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.json)]
pub struct RequestError(pub Answer);

impl From<RequestRefusal> for RequestError {
    fn from(refusal: RequestRefusal) -> Self {
        Self(refusal.into())
    }
}

impl Graph {
    /// Creates the graph over a log and its live delivery. Loads run on the current runtime.
    pub fn new(log: Log, live: Live, urls: OrgUrls, options: GraphOptions) -> Self {
        let parts = SchemaParts { live, urls, orgs: Orgs(options.orgs) };
        let (introspection, sdl) = (options.introspection, plain_sdl(&unbound_schema()));
        Self(Arc::new(GraphParts {
            prices: Prices::new(&sdl),
            // Suggestions tell names of the schema, too.
            types: schema_types(&sdl, introspection),
            schema: schema(&parts, introspection),
            log,
            runtime: Handle::current(),
            compiled: CompiledDocuments::new(),
            documents: Documents::new(options.documents),
            limits: options.limits,
            timeout: options.timeout,
            introspection: options.introspection,
        }))
    }

    /// The limits on one request.
    pub fn limits(&self) -> &DocumentLimits {
        &self.0.limits
    }

    /// Prepares a request: finds, reads and validates its document, selects its operation, coerces its variables, and
    /// computes its cost. Its time limit begins.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn operation(&self, mut request: GraphRequest, viewer: Viewer) -> Result<Operation, RequestError> {
        let deadline = Instant::now() + self.0.timeout;
        let FoundDocument { text, register } = self.0.documents.find(&mut request, viewer.documents)?;
        let compiled = match self.0.compiled.find(&text) {
            Some(known) => known,
            None => self.compile(&text)?,
        };
        let name = request.operation_name.as_deref();
        let operation = selected_operation(&compiled.document, name)?;
        let values =
            coerce(&self.0.types, compiled.variables(name), request.variables).map_err(RequestRefusal::from)?;
        let weighed = self.weigh(&compiled.document, &operation.node, &values);
        let (kind, weight) = weighed.map_err(|refusal| refusal.at(operation.pos))?;
        scopes::check(&self.0.types, &compiled.document, &operation.node, &values, &viewer.rights)?;
        if let Some(hash) = register {
            self.0.documents.keep(hash, &text);
        }
        let variables = Variables::from_json(serde_json::Value::Object(values));
        let omitted = omitted::omitted(&operation.node, &variables);
        let parsed = ParsedRequest { compiled, operation_name: request.operation_name, variables, omitted, viewer };
        let Weight { complexity, introspects } = weight;
        let wants_cost = request.wants_cost;
        let (document, after, outlet, usage) = (text, None, None, None);
        Ok(Operation { kind, complexity, wants_cost, introspects, parsed, document, deadline, after, outlet, usage })
    }

    /// Reads and validates a document that comes for the first time.
    fn compile(&self, text: &Arc<str>) -> Result<Arc<Compiled>, RequestError> {
        let limits = &self.0.limits;
        if text.len() > limits.bytes {
            let (bytes, most) = (text.len(), limits.bytes);
            let message = format!("the document has {bytes} bytes, at most {most} are allowed (limits.document_bytes)");
            return Err(RequestRefusal::new("TOO_COMPLEX", message).with("limit", most).into());
        }
        let document = parse(text, limits.tokens).map_err(RequestRefusal::from)?;
        let faults = validate(&self.0.types, &document, limits.fields);
        if faults.is_empty() {
            return Ok(self.0.compiled.keep(text, &document));
        }
        Err(RequestError(Answer::refusals(faults.into_iter().map(RequestRefusal::from).collect())))
    }

    fn weigh(
        &self,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        values: &Map<String, serde_json::Value>,
    ) -> Result<(OperationKind, Weight), RequestRefusal> {
        let kind = match operation.ty {
            OperationType::Query => OperationKind::Query,
            OperationType::Mutation => OperationKind::Mutation,
            OperationType::Subscription => OperationKind::Subscription,
        };
        let values = VariableValues::new(operation, values);
        let weight = cost::weigh(&self.0.prices, document, operation, &values, &self.0.limits)?;
        if weight.introspects && !self.0.introspection {
            let message = "introspection is off (graphql.introspection): `sluice schema` prints the schema";
            return Err(RequestRefusal::new("INTROSPECTION_DISABLED", message));
        }
        Ok((kind, weight))
    }

    /// Returns the reads of an operation or a feed, with the viewer's rights.
    fn reads(&self, operation: &Operation, credential: &Credential) -> Reads {
        let view = self.0.log.view(Arc::clone(&operation.viewer().rights), credential);
        let view = operation.usage.as_ref().map(|usage| view.counted(Arc::clone(usage))).unwrap_or(view);
        Reads::new(view, &self.0.runtime)
    }

    /// Executes a query or a mutation, within its time limit.
    pub async fn execute(&self, operation: Operation) -> Answer {
        if operation.kind == OperationKind::Mutation && self.0.types.root(RootKind::Mutation).is_none() {
            return no_mutations(&operation.parsed);
        }
        let request = operation.parsed.request(&self.reads(&operation, &operation.parsed.viewer.credential));
        let Ok(mut response) = timeout_at(operation.deadline, self.0.schema.execute(request)).await else {
            let seconds = self.0.timeout.as_secs();
            let message = format!("the request took more than {seconds} s (limits.query_seconds) and was stopped");
            return Answer::refusal("TIMEOUT", message);
        };
        if let Some(busy) = busy(&response) {
            return busy;
        }
        if operation.introspects {
            describe(&mut response.data, DESCRIPTION.trim_end());
        }
        let answer = Answer::new(response, &operation.document);
        if operation.wants_cost { answer.with_cost(operation.complexity, self.0.limits.complexity) } else { answer }
    }

    /// Starts a subscription, whose answers have batches of events. An answer with errors is the last one: the client
    /// resumes from the last payload's position, so that it gets no event in part.
    ///
    /// # Errors
    /// The answer to a subscription that cannot start: the document is invalid, or the log cannot be resumed from the
    /// position.
    pub async fn subscribe(&self, operation: Operation) -> Result<Subscription, Answer> {
        let document = Arc::clone(&operation.document);
        let start = SubscriptionStart {
            after: operation.after,
            outlet: operation.outlet.clone(),
            ..SubscriptionStart::default()
        };
        let (progress, subscriber) = (start.progress.clone(), Arc::clone(&start.subscriber));
        let reads = self.reads(&operation, &Credential::Subscriptions);
        let request = operation.parsed.request(&reads).data(start).data(self.on_demand(operation, reads));
        // The feed renders the events. The stream that is executed here ends as soon as the subscriber has joined its feed.
        let refused = self.0.schema.execute_stream(request).next().await;
        match subscriber.lock().take() {
            Some((key, subscriber)) => Ok(Subscription { progress, key, subscriber, failed: None }),
            None => Err(refused.map_or_else(Answer::nothing, |refused| Answer::new(refused, &document))),
        }
    }

    /// The renderer for events for which more must be read: the subscription's operation is executed for each of them.
    fn on_demand(&self, operation: Operation, reads: Reads) -> OnDemand {
        let graph = self.clone();
        let Operation { parsed, document, .. } = operation;
        let Compiled { number, document: compiled, .. } = &*parsed.compiled;
        let name = parsed.operation_name.as_deref();
        let cache_key = selected_operation(compiled, name)
            .map(|selected| OnDemand::key(*number, name, compiled, &selected.node, &parsed.variables))
            .unwrap_or_default();
        let parsed = Arc::new((parsed, reads));
        let render = move |event: Arc<SyncEvent>| {
            let (graph, parsed, document) = (graph.clone(), Arc::clone(&parsed), Arc::clone(&document));
            async move {
                let (parsed, reads) = &*parsed;
                let request = parsed.request(reads);
                let request = request.data(WaitsForDatabase).data(OneEvent(Arc::clone(&event)));
                let response = graph.0.schema.execute_stream(request).next().await;
                Answer::render(response.unwrap_or_else(Answer::no_event), &document, &event)
            }
            .boxed()
        };
        OnDemand { cache_key, renderer: Arc::new(render) }
    }
}

/// Returns the answer to a request of which the database had no time for some part. The whole is refused, since its
/// client has to send it again anyway.
fn busy(response: &Response) -> Option<Answer> {
    let is_busy = |error: &&ServerError| {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        code.is_some_and(|code| *code == BUSY.into())
    };
    response.errors.iter().find(is_busy).map(|error| Answer::refusal(BUSY, error.message.clone()))
}

/// Refuses a mutation. Validation leaves it to the execution, so that HTTP can say first by which method it must come.
fn no_mutations(parsed: &ParsedRequest) -> Answer {
    let refusal = RequestRefusal::new("GRAPHQL_VALIDATION_FAILED", "this graph has no mutations");
    match selected_operation(&parsed.compiled.document, parsed.operation_name.as_deref()) {
        Ok(operation) => refusal.at(operation.pos).into(),
        Err(refusal) => refusal.into(),
    }
}

/// Selects the operation of this name, or the only one.
fn selected_operation<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d Positioned<OperationDefinition>, RequestRefusal> {
    let mut operations = document.operations.iter();
    let found = match name {
        Some(name) => operations.find(|(known, _)| known.is_some_and(|known| known.as_str() == name)),
        None => operations.next().filter(|_| operations.next().is_none()),
    };
    let message = match name {
        Some(_) => "the document has no operation that is called as `operationName` says",
        None => "say with `operationName` which of the document's operations is meant",
    };
    found.map(|(_, operation)| operation).ok_or_else(|| RequestRefusal::new("BAD_REQUEST", message))
}
