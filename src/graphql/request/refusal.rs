//! The refusal of a request: a code and a sentence.

/// Why a request is not executed: a code, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct Refusal {
    pub(in crate::graphql) code: &'static str,
    pub(in crate::graphql) message: String,
}

impl Refusal {
    pub(in crate::graphql) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
