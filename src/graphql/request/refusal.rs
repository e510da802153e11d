//! The refusal of a request: a code and a sentence.

/// A refusal: a code that programs can act on, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct RequestRefusal {
    pub(in crate::graphql) code: &'static str,
    pub(in crate::graphql) message: String,
}

impl RequestRefusal {
    pub(in crate::graphql) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
