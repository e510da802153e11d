//! The text columns of an event.

use super::EventColumn;

/// The values of an event's text columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTexts([Option<Box<str>>; EventColumn::TEXTS]);

impl EventTexts {
    /// Returns the text of a column; None if the event has none, or if the column is not a text column.
    pub fn get(&self, column: EventColumn) -> Option<&str> {
        match self.0.get(column.text_index()) {
            Some(text) => text.as_deref(),
            None => column.constant().and_then(|(text, other)| self.get(other).map(|_| text)),
        }
    }

    /// Sets the text of a text column.
    pub fn set(&mut self, column: EventColumn, text: Option<impl Into<Box<str>>>) {
        if let Some(place) = self.0.get_mut(column.text_index()) {
            *place = text.map(Into::into);
        }
    }

    /// Returns the total size in bytes.
    pub fn size(&self) -> usize {
        self.0.iter().flatten().map(|text| text.len()).sum()
    }
}
