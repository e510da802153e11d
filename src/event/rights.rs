//! The rights of readers.

mod rows;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{
    Details, EntityColumns, EntityFilter, EventColumn, EventColumns, Filter, Scope, Scopes, Search, SyncEvent,
};
pub use rows::{Grant, GrantedPart, RepeatedList, Rows};

/// The rights of a reader: what the reader may do (scopes), which events it may see (rows), and which of their values
/// (columns). A view of the log applies them to each of its reads. A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rights {
    scopes: Scopes,
    rows: Rows,
    /// The columns that may be seen, which follow from the scopes.
    columns: EventColumns,
}

/// The columns of events that are seen with the scope `people:read` only: names, logins, and free text that may have them.
const OF_PEOPLE: [EventColumn; 7] = [
    EntityColumns::ADMIN.alternate_id,
    EntityColumns::ADMIN.display_name,
    EntityColumns::USER.alternate_id,
    EntityColumns::USER.display_name,
    EntityColumns::APPLICATION_USER.alternate_id,
    EntityColumns::APPLICATION_USER.display_name,
    EventColumn::OutcomeReason,
];

/// The columns of events that are seen with the scope `events:details` only.
const OF_DETAILS: [EventColumn; 6] = [
    EventColumn::Details,
    EventColumn::DebugData,
    EventColumn::ClientIpAddress,
    EventColumn::ClientUserAgent,
    EventColumn::ClientCity,
    EventColumn::ClientCountry,
];

impl Rights {
    /// Returns the rights to these rows with these scopes. `events:details` counts only beside `people:read`: the raw JSON has
    /// every name.
    pub fn new(scopes: Scopes, rows: Rows) -> Self {
        let scopes = if scopes.has(Scope::PeopleRead) { scopes } else { scopes.without(Scope::EventsDetails) };
        let hidden = |scope, columns: &'static [EventColumn]| if scopes.has(scope) { &[][..] } else { columns };
        let hidden = hidden(Scope::PeopleRead, &OF_PEOPLE).iter().chain(hidden(Scope::EventsDetails, &OF_DETAILS));
        let columns = hidden.fold(EventColumns::ALL, |columns, hidden| columns.without(*hidden));
        Self { scopes, rows, columns }
    }

    /// Returns the rights to see and to do everything.
    pub const fn everything() -> Self {
        Self { scopes: Scopes::ALL, rows: Rows::All, columns: EventColumns::ALL }
    }

    /// Returns the rights of a reader whose settings limit nothing: to see everything, but to administer nothing and to bring
    /// no events.
    pub const fn of_unlimited_reader() -> Self {
        Self { scopes: Scopes::READING, rows: Rows::All, columns: EventColumns::ALL }
    }

    /// Returns the scopes.
    pub const fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Returns true if the rights have a scope.
    pub const fn has(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// Returns the rows of which events may be seen with some scope, which may be missing.
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Returns the rows that may be seen as events, and in the catalogue.
    pub fn event_rows(&self) -> &Rows {
        if self.has(Scope::EventsRead) { &self.rows } else { Rows::nothing() }
    }

    /// Returns true if the ingestion of an org may be seen. It is about the org as a whole, so it needs the whole org.
    pub fn see_ingestion_of(&self, org: &str) -> bool {
        self.has(Scope::IngestionRead) && self.rows.have_whole(org)
    }

    /// Returns true if names of people may be seen.
    pub const fn see_people(&self) -> bool {
        self.has(Scope::PeopleRead)
    }

    /// Returns the columns of events that may be seen.
    pub const fn columns(&self) -> EventColumns {
        self.columns
    }

    /// Narrows a filter to the events that may be seen. Without the right to see people, its words are looked for only in
    /// texts that are not of people, and a condition on the name of a person matches nothing.
    pub fn narrow(&self, mut filter: Filter) -> Narrowed {
        if !self.see_people() {
            without_people(&mut filter);
        }
        let (filter, repeated_list) = self.event_rows().narrow(filter);
        Narrowed { filter, repeated_list, rights: self.clone() }
    }

    /// Removes from an event the values that may not be seen.
    pub fn mask(&self, event: &mut SyncEvent) {
        if self.columns == EventColumns::ALL {
            return;
        }
        for column in EventColumn::texts().filter(|column| !self.columns.has(*column)) {
            event.occurrence.texts.set(column, None::<Box<str>>);
        }
        if !self.columns.has(EventColumn::Details) {
            event.details = Details::NotRead;
        }
    }

    /// Returns an event without the values that may not be seen.
    pub fn masked(&self, event: &Arc<SyncEvent>) -> Arc<SyncEvent> {
        if self.columns == EventColumns::ALL {
            return Arc::clone(event);
        }
        let mut masked = (**event).clone();
        self.mask(&mut masked);
        Arc::new(masked)
    }
}

/// Makes the conditions of a filter independent of people's names.
fn without_people(filter: &mut Filter) {
    filter.search = filter.search.take().map(Search::not_of_people);
    for person in [&mut filter.admin, &mut filter.user, &mut filter.application_user].into_iter().flatten() {
        if person.alternate_ids.is_some() || person.search.is_some() {
            **person = EntityFilter { ids: Some(Vec::new()), ..EntityFilter::default() };
        }
    }
    let parts = filter.and.iter_mut().chain(filter.or.iter_mut().flatten()).chain(filter.not.as_deref_mut());
    parts.for_each(without_people);
}

impl fmt::Display for Rights {
    /// Writes the canonical text: equal rights have equal texts, and different rights have different texts.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rows {
            Rows::All => write!(formatter, "{} of everything", self.scopes),
            // The debug text escapes quotation marks in names, so no name can look like two.
            Rows::Granted(grants) => write!(formatter, "{} of {grants:?}", self.scopes),
        }
    }
}

/// A filter that is restricted to a reader's rights. Only [`Rights::narrow`] creates one, so that no statement and no
/// feed can use a filter without rights:
///
/// ```compile_fail,E0451
/// use sluice::event::{Filter, Narrowed, Rights};
///
/// let narrowed = Narrowed { filter: Filter::default(), repeated_list: None, rights: Rights::everything() };
/// ```
///
/// ```
/// use sluice::event::{Filter, Rights};
///
/// let narrowed = Rights::everything().narrow(Filter::default());
/// assert_eq!(*narrowed, Filter::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Narrowed {
    filter: Arc<Filter>,
    /// The list of the filter that only repeats the lists of the rights' alternatives.
    repeated_list: Option<RepeatedList>,
    rights: Rights,
}

impl Narrowed {
    /// Returns the list of the filter that only repeats the lists of the rights' alternatives. The filter has it for the sake of
    /// indexes and of routing; events that match the alternatives match it, too.
    pub const fn repeated_list(&self) -> Option<RepeatedList> {
        self.repeated_list
    }

    /// Returns the rights, for reads beside the filter, such as labels.
    pub const fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Returns a filter without conditions, restricted to the same rights.
    #[must_use]
    pub fn without_conditions(&self) -> Self {
        self.rights.narrow(Filter::default())
    }

    /// Returns true if the rights restrict the rows.
    pub fn is_restricted(&self) -> bool {
        !matches!(self.rights.event_rows(), Rows::All)
    }
}

impl Deref for Narrowed {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        &self.filter
    }
}

#[cfg(test)]
mod tests;
