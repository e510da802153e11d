//! The refusal of a request: a code, a sentence, and places in the document.

use async_graphql::Pos;

use crate::language::fault::{DocumentFault, FaultKind};

/// A refusal: a code that programs can act on, a sentence, and the places of the document that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct RequestRefusal {
    pub(in crate::graphql) code: &'static str,
    pub(in crate::graphql) message: String,
    pub(in crate::graphql) locations: Vec<Pos>,
}

impl RequestRefusal {
    pub(in crate::graphql) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), locations: Vec::new() }
    }

    /// The refusal with a place that it is about.
    pub(in crate::graphql) fn at(mut self, place: Pos) -> Self {
        self.locations.push(place);
        self
    }
}

impl From<DocumentFault> for RequestRefusal {
    fn from(fault: DocumentFault) -> Self {
        let code = match fault.kind {
            FaultKind::Syntax => "GRAPHQL_PARSE_FAILED",
            FaultKind::TooLarge => "TOO_COMPLEX",
            FaultKind::Invalid => "GRAPHQL_VALIDATION_FAILED",
            FaultKind::WrongValue => "BAD_USER_INPUT",
        };
        let locations = fault.locations.into_iter().map(|at| Pos { line: at.line, column: at.column });
        Self { code, message: fault.message, locations: locations.collect() }
    }
}
