//! Errors of syntax, in words.

use async_graphql::{Pos, ServerError};

/// What keeps a text from being a document, in words.
pub fn syntax_fault(text: &str) -> Option<String> {
    async_graphql::parser::parse_query(text).err().map(|error| syntax_message(&error.into()))
}

/// What keeps a document from being read. The parser's message shows the line with a mark under it; of all that, the last
/// line says what is wrong.
pub(in crate::graphql) fn syntax_message(error: &ServerError) -> String {
    let what = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
    match error.locations.first() {
        Some(Pos { line, column }) => format!("the document cannot be read at line {line}, column {column}: {what}"),
        None => format!("the document cannot be read: {what}"),
    }
}
