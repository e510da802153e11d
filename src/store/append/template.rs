//! Templates of statements, with placeholders for the columns of events.

use crate::event::EventColumn;

/// Returns the text with each name in braces replaced by its value.
pub(super) fn fill(text: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Returns the text columns that an append copies from the event: all but the application's name, for which the catalogue's
/// name has precedence.
pub(super) fn copied_columns() -> impl Iterator<Item = EventColumn> {
    EventColumn::texts().filter(|column| *column != EventColumn::ApplicationName)
}

/// Returns a list in SQL of the names of columns, each followed by a suffix.
pub(super) fn names_of(columns: impl Iterator<Item = EventColumn>, suffix: &str) -> String {
    let names = columns.filter_map(|column| Some(format!("{}{suffix}", column.spec().sql_name()?)));
    names.collect::<Vec<_>>().join(", ")
}
