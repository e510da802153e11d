//! Faults of documents and of the values of variables.

/// A place in a document: line and column, from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The kind of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The text is no document.
    Syntax,
    /// The text exceeds a limit.
    TooLarge { limit: usize },
    /// The document breaks a rule of the specification.
    Invalid,
    /// A variable has no value, or a wrong one.
    WrongValue { variable: String },
}

/// A fault: its kind, a sentence, and the places in the document that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentFault {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    pub(crate) locations: Vec<Location>,
}

impl DocumentFault {
    /// A fault of syntax.
    pub(crate) fn syntax(at: Location, what: &str) -> Self {
        let Location { line, column } = at;
        let message = format!("the document cannot be read at line {line}, column {column}: {what}");
        Self { kind: FaultKind::Syntax, message, locations: vec![at] }
    }

    /// A fault of a text beyond a limit.
    pub(crate) fn too_large(at: Location, limit: usize, message: String) -> Self {
        Self { kind: FaultKind::TooLarge { limit }, message, locations: vec![at] }
    }

    /// A fault of a document that breaks a rule.
    pub(crate) fn invalid(locations: impl Into<Vec<Location>>, message: String) -> Self {
        Self { kind: FaultKind::Invalid, message, locations: locations.into() }
    }
}
