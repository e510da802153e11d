//! The refusal of a request: a code, a sentence, facts, and places in the document.

use async_graphql::{Pos, Value};

use crate::language::fault::{DocumentFault, FaultKind};

/// A refusal: a code that programs can act on, a sentence, the facts that go with the code, and the places of the document
/// that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct RequestRefusal {
    pub(in crate::graphql) code: &'static str,
    pub(in crate::graphql) message: String,
    pub(in crate::graphql) locations: Vec<Pos>,
    pub(in crate::graphql) facts: Vec<(&'static str, Value)>,
}

impl RequestRefusal {
    pub(in crate::graphql) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), locations: Vec::new(), facts: Vec::new() }
    }

    /// The refusal with a place that it is about.
    pub(in crate::graphql) fn at(mut self, place: Pos) -> Self {
        self.locations.push(place);
        self
    }

    /// The refusal with a fact.
    pub(in crate::graphql) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((name, value.into()));
        self
    }
}

impl From<DocumentFault> for RequestRefusal {
    fn from(fault: DocumentFault) -> Self {
        let refusal = match fault.kind {
            FaultKind::Syntax => Self::new("GRAPHQL_PARSE_FAILED", fault.message),
            FaultKind::TooLarge { limit } => Self::new("TOO_COMPLEX", fault.message).with("limit", limit),
            FaultKind::Invalid => Self::new("GRAPHQL_VALIDATION_FAILED", fault.message),
            FaultKind::WrongValue { variable } => Self::new("BAD_USER_INPUT", fault.message).with("variable", variable),
        };
        let locations = fault.locations.into_iter().map(|at| Pos { line: at.line, column: at.column });
        Self { locations: locations.collect(), ..refusal }
    }
}
