//! GraphQL's language, by the specification of September 2025: documents are read here, and validated against a schema.
//! Knows nothing of sluice's own schema, nor of the library that executes documents.
//!
//! 1. `parser` reads a [`document::Document`] from the tokens of a text, with the place of each part.
//! 2. `validation` holds the document against the types of a schema. Each rule looks once at each part of a document.
//! 3. `variables` coerces the values that a request gives to its variables.
//!
//! `printed` completes the text of a schema.

pub(crate) mod document;
pub(crate) mod fault;

mod text;
mod tokens;
mod values;

pub(crate) mod parser;

pub(crate) mod printed;
pub(crate) mod types;

pub(crate) mod validation;
pub(crate) mod variables;
