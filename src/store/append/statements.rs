//! The statements that append, and their parameters. Their texts have placeholders for the columns of events.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use time::OffsetDateTime;
use uuid::Uuid;

use super::function;
use super::template::{copied_columns, fill, names_of};
use crate::event::{EventColumn, IngestSource, Timestamp};
use crate::postgres::named_row::named_row;
use crate::store::{DeliveryRecord, NewEvent};

/// Text of the statement that appends one event.
static LONE: LazyLock<String> = LazyLock::new(|| {
    let columns = copied_columns().filter_map(|column| column.spec().sql_name());
    let parameters: Vec<_> = ["org", "uuid", "published"].into_iter().chain(columns).chain(LONE_PARAMETERS).collect();
    let number =
        |name: &str| format!("${}", parameters.iter().position(|known| *known == name).unwrap_or_default() + 1);
    let values = copied_columns().filter_map(|column| column.spec().sql_name()).map(number);
    let lists = [("columns", names_of(copied_columns(), "")), ("values", values.collect::<Vec<_>>().join(", "))];
    let named = parameters.iter().map(|name| (*name, number(name)));
    fill(include_str!("log_append_lone.sql"), &lists.into_iter().chain(named).collect::<Vec<_>>())
});

/// The last parameters of that statement, after those for the event's columns.
const LONE_PARAMETERS: [&str; 9] = [
    "words",
    "raw",
    "delivery",
    "way",
    "delivery_event_id",
    "delivery_event_time",
    "delivery_source",
    "delivery_headers",
    "times_received",
];

/// The database's reply to an append, with its numbers for positions.
pub(super) struct AppendReply {
    pub(super) events: Vec<ReplyEvent>,
    /// Time at which the events were stored.
    pub(super) moment: OffsetDateTime,
    /// Tag of the era in which the log ended at that time.
    pub(super) era: i64,
}

/// The reply for one event.
pub(super) struct ReplyEvent {
    pub(super) number: i64,
    pub(super) is_new: bool,
    pub(super) application_name: Option<String>,
}

/// The row for a lone event: its number, its application's name, the time at which it was stored, and its era's tag.
pub(super) type LoneRow = (i64, Option<String>, OffsetDateTime, i64);

named_row! {
    /// The row that `log_append` returns.
    pub(super) struct AppendedRow {
        known: Vec<Option<i64>>,
        turns: Vec<Option<i64>>,
        names: Vec<Option<String>>,
        head: i64,
        moment: OffsetDateTime,
        era: i64,
    }
}

impl AppendedRow {
    /// Returns the reply for `number` events; None if the row does not have a result for each.
    pub(super) fn of_events(self, number: usize) -> Option<AppendReply> {
        let events = self.known.into_iter().zip(self.turns).zip(self.names);
        let events = events.map(|((known, turn), name)| {
            Some(ReplyEvent {
                number: known.or_else(|| Some(self.head + turn?))?,
                is_new: known.is_none(),
                application_name: name.filter(|_| known.is_none()),
            })
        });
        let events: Vec<_> = events.collect::<Option<_>>()?;
        (events.len() == number).then_some(AppendReply { events, moment: self.moment, era: self.era })
    }
}

type AppendQuery<'q, Row> = QueryAs<'q, Postgres, Row, PgArguments>;

/// Binds columns, each an array with one value per row.
macro_rules! bind_columns {
    ($query:expr, $rows:expr, $(|$row:ident| $value:expr),+ $(,)?) => {
        $query$(.bind($rows.iter().map(|$row| $value).collect::<Vec<_>>()))+
    };
}

/// Returns the statement that appends events that came by one way, and the deliveries that bring them.
pub(super) fn group_query<'q>(
    source: IngestSource,
    events: &'q [NewEvent],
    deliveries: &'q [DeliveryRecord],
) -> AppendQuery<'q, AppendedRow> {
    let mut query = bind_columns!(
        sqlx::query_as(function::call()),
        events,
        |new| new.org.as_str(),
        |new| new.event.occurrence.uuid,
        |new| new.event.occurrence.published.date_time(),
    );
    for column in EventColumn::texts() {
        query = bind_columns!(query, events, |new| new.event.occurrence.text(column));
    }
    let query =
        bind_columns!(query, events, |new| &new.computed().words, |new| new.computed().raw.as_slice(), |new| new
            .delivery);
    let named: HashSet<Uuid> = events.iter().filter_map(|new| new.delivery).collect();
    let deliveries: Vec<_> = deliveries.iter().filter(|delivery| named.contains(&delivery.id)).collect();
    bind_columns!(
        query.bind(source.code()),
        deliveries,
        |delivery| delivery.id,
        |delivery| delivery.org.as_str(),
        |delivery| delivery.event_id.as_deref(),
        |delivery| delivery.event_time.map(Timestamp::date_time),
        |delivery| delivery.source.as_deref(),
        |delivery| delivery.headers.as_str(),
    )
    .bind(events.iter().map(NewEvent::times_received_in_sql).collect::<Vec<_>>())
}

/// Returns the statement that appends a lone event.
pub(super) fn lone_query<'q>(
    source: IngestSource,
    new: &'q NewEvent,
    deliveries: &'q [DeliveryRecord],
) -> AppendQuery<'q, LoneRow> {
    let (occurrence, computed) = (&new.event.occurrence, new.computed());
    let delivery = deliveries.iter().find(|delivery| new.delivery == Some(delivery.id));
    let mut query = sqlx::query_as(LONE.as_str())
        .bind(new.org.as_str())
        .bind(occurrence.uuid)
        .bind(occurrence.published.date_time());
    for column in copied_columns() {
        query = query.bind(occurrence.text(column));
    }
    query
        .bind(&computed.words)
        .bind(computed.raw.as_slice())
        .bind(new.delivery)
        .bind(source.code())
        .bind(delivery.and_then(|delivery| delivery.event_id.as_deref()))
        .bind(delivery.and_then(|delivery| delivery.event_time).map(Timestamp::date_time))
        .bind(delivery.and_then(|delivery| delivery.source.as_deref()))
        .bind(delivery.map(|delivery| delivery.headers.as_str()))
        .bind(new.times_received_in_sql())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_of_the_text_is_replaced() {
        assert!(!LONE.contains(['{', '}']), "{}", *LONE);
        let parameters = 3 + copied_columns().count() + LONE_PARAMETERS.len();
        assert!(LONE.contains(&format!("${parameters}")) && !LONE.contains(&format!("${}", parameters + 1)));
        assert!(
            LONE.contains("AND t.source = ") && LONE.contains(", instance_label, instance_display_name, debug_data")
        );
    }
}
