//! Operations that were checked, and wait for their execution.

use std::collections::HashSet;
use std::sync::Arc;

#[cfg(any(test, fuzzing))]
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Name, Request, Variables};
use tokio::time::Instant;

use super::answer::reads::Reads;
use super::answer::writer::WithoutWriter;
use super::request::compiled::Compiled;
use super::request::omitted;
use crate::auth::Viewer;
use crate::event::{Position, StatementUsage};
use crate::live::Outlet;

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// An operation that reads.
    Query,
    /// An operation that changes something.
    Mutation,
    /// An operation that waits for events.
    Subscription,
}

/// An operation that can be executed.
pub struct Operation {
    /// The kind.
    pub kind: OperationKind,
    /// The cost of the answer, in the unit of `limits.complexity`.
    pub complexity: u64,
    /// True if the answer is to have its cost.
    pub(super) wants_cost: bool,
    /// True if the operation selects parts of the schema.
    pub(super) introspects: bool,
    pub(super) parsed: ParsedRequest,
    pub(super) document: Arc<str>,
    pub(super) deadline: Instant,
    /// The position from which a subscription resumes, which takes precedence over the document's `from`.
    pub(super) after: Option<Position>,
    /// Sends a subscription's events while the subscriber waits for them.
    pub(super) outlet: Option<Arc<dyn Outlet>>,
    /// The count of its statements, if they are counted.
    pub(super) usage: Option<Arc<StatementUsage>>,
}

/// A parsed request, which is executed once or for each event.
pub(super) struct ParsedRequest {
    pub(super) compiled: Arc<Compiled>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Variables,
    /// The variables that have neither a value nor a default.
    pub(super) omitted: HashSet<Name>,
    pub(super) viewer: Viewer,
}

impl ParsedRequest {
    pub(super) fn request(&self, reads: &Reads) -> Request {
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        request = reads.give(request).data(self.viewer.clone());
        if self.compiled.merges_printed {
            request = request.data(WithoutWriter);
        }
        request.operation_name.clone_from(&self.operation_name);
        let mut document = self.compiled.document.clone();
        omitted::remove(&mut document, &self.omitted);
        request.set_parsed_query(document);
        request
    }
}

impl Operation {
    /// Makes a subscription resume after a position, whatever the document says.
    pub fn resume_after(&mut self, position: Position) {
        self.after = Some(position);
    }

    /// Returns the viewer for whom the operation runs.
    pub fn viewer(&self) -> &Viewer {
        &self.parsed.viewer
    }

    /// Counts the statements of the operation from now on.
    pub fn count_statements(&mut self) -> Arc<StatementUsage> {
        Arc::clone(self.usage.get_or_insert_default())
    }

    /// Returns the document as it was written.
    pub fn document_text(&self) -> &str {
        &self.document
    }

    /// Returns the name of the operation.
    pub fn name(&self) -> Option<&str> {
        let only = || self.parsed.compiled.document.operations.iter().next()?.0;
        self.parsed.operation_name.as_deref().or_else(|| Some(only()?.as_str()))
    }

    /// Gives a subscription an outlet, which sends events while the subscriber waits for them.
    pub fn send_through(&mut self, outlet: Arc<dyn Outlet>) {
        self.outlet = Some(outlet);
    }

    /// Returns the document as it is executed, for the fuzzer.
    #[cfg(any(test, fuzzing))]
    pub(super) fn document_tree(&self) -> &ExecutableDocument {
        &self.parsed.compiled.document
    }
}
