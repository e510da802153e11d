//! Messages about errors of syntax.

use async_graphql::{Pos, ServerError};

/// Returns the message of the error of syntax in a text; None if it is a document.
pub fn syntax_fault(text: &str) -> Option<String> {
    async_graphql::parser::parse_query(text).err().map(|error| syntax_message(&error.into()))
}

/// Returns the message of an error of syntax. The parser's own message shows the line with a mark under it; its last line
/// says what is wrong.
pub(in crate::graphql) fn syntax_message(error: &ServerError) -> String {
    let what = error.message.lines().last().unwrap_or_default().trim_start_matches([' ', '=']);
    match error.locations.first() {
        Some(Pos { line, column }) => format!("the document cannot be read at line {line}, column {column}: {what}"),
        None => format!("the document cannot be read: {what}"),
    }
}
