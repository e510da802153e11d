//! Texts of statements that leave places for the columns of events.

use crate::event::EventColumn;

/// Replaces each name in braces by its value.
pub(super) fn fill(text: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Returns the texts that a row has as the event has them: all but the application's name, which the catalogue may know
/// better.
pub(super) fn copied_columns() -> impl Iterator<Item = EventColumn> {
    EventColumn::texts().filter(|column| *column != EventColumn::ApplicationName)
}

/// Returns a list in SQL of the names of columns, each with something after it.
pub(super) fn names_of(columns: impl Iterator<Item = EventColumn>, after: &str) -> String {
    let names = columns.filter_map(|column| Some(format!("{}{after}", column.spec().sql_name()?)));
    names.collect::<Vec<_>>().join(", ")
}
