//! Events as values of fields: printed by an event writer if there is one, else resolved by async-graphql.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{Context, ContextSelectionSet, OutputType, Positioned, ServerResult, SimpleObject, Value};

use super::nodes::SyncEventNode;
use crate::event::{EventColumns, EventOrderField};
use crate::graphql::answer::ids::encode_event_cursor;
use crate::graphql::answer::print;
use crate::graphql::answer::writer::EventWriter;
use crate::graphql::request::fragments::fields;
use crate::store::StoredEvent;

/// The events of a page.
pub(super) struct EventList<'p>(pub(in crate::graphql) &'p [StoredEvent]);

/// The events of a page with their cursors.
pub(super) struct EdgeList<'p> {
    pub(in crate::graphql) events: &'p [StoredEvent],
    pub(in crate::graphql) order: EventOrderField,
}

/// An event on a page.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SyncEventEdge {
    /// The cursor of the item.
    pub(in crate::graphql) cursor: String,
    /// The event.
    pub(in crate::graphql) node: SyncEventNode,
}

/// One event.
#[derive(Clone)]
pub(super) struct WrittenEvent(pub(super) SyncEventNode);

/// The columns of events that the lists in a connection's selection need; None if the selection asks for no page.
pub(super) fn columns_of_lists(context: &Context<'_>, order: EventOrderField) -> Option<EventColumns> {
    let mut columns = None;
    let selection = &context.item.node.selection_set.node;
    for list in fields(&context.query_env.fragments, selection, |_| true) {
        let selected = &list.selection_set.node;
        let writer = match list.name.node.as_str() {
            "nodes" => EventWriter::of_events(context, selected),
            "edges" => EventWriter::of_edges(context, selected, order),
            "pageInfo" => {
                columns.get_or_insert(EventColumns::KEYS);
                continue;
            }
            _ => continue,
        };
        let needed = writer.map_or(EventColumns::WITHOUT_DETAILS, |writer| writer.columns());
        columns = Some(columns.unwrap_or(EventColumns::KEYS).union(needed));
    }
    columns
}

/// Counts events for which there was no writer.
fn count_resolved(events: usize) {
    metrics::counter!("sluice_events_ordinary_total").increment(events as u64);
}

impl OutputType for EventList<'_> {
    fn type_name() -> Cow<'static, str> {
        Vec::<SyncEventNode>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<SyncEventNode>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Some(writer) = EventWriter::of_events(context, &context.item.node) {
            return Ok(print::raw(writer.write_list(self.0)));
        }
        count_resolved(self.0.len());
        let events = self.0.iter().map(|event| SyncEventNode::from(event.to_event()));
        resolve_list(context, field, events, Some(self.0.len())).await
    }
}

impl OutputType for EdgeList<'_> {
    fn type_name() -> Cow<'static, str> {
        Vec::<SyncEventEdge>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<SyncEventEdge>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Some(writer) = EventWriter::of_edges(context, &context.item.node, self.order) {
            return Ok(print::raw(writer.write_list(self.events)));
        }
        count_resolved(self.events.len());
        let edges = self.events.iter().map(|event| SyncEventEdge {
            cursor: encode_event_cursor(self.order, event),
            node: event.to_event().into(),
        });
        resolve_list(context, field, edges, Some(self.events.len())).await
    }
}

impl OutputType for WrittenEvent {
    fn type_name() -> Cow<'static, str> {
        SyncEventNode::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        SyncEventNode::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match EventWriter::of_events(context, &context.item.node) {
            Some(writer) if self.0.has_columns(writer.columns()) => {
                let mut out = String::with_capacity(1024);
                writer.write(&mut out, &*self.0.0);
                Ok(print::raw(out))
            }
            _ => {
                count_resolved(1);
                self.0.resolve(context, field).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
