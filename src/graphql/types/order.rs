//! The orders in which clients want lists of events.

use async_graphql::{Enum, InputObject};

use crate::event::{EventOrder, EventOrderField};

/// The value by which events are ordered.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncEventOrderField {
    /// The time at which they happened in Okta. Events of the same moment are ordered by position.
    Published,
    /// The place in sluice's log: the order in which sluice stored them.
    Position,
}

/// The direction of an order.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderDirection {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

/// The order of a list of events.
#[derive(InputObject, Clone, Copy, Debug)]
pub(super) struct SyncEventOrder {
    /// The value by which events are ordered.
    field: SyncEventOrderField,
    /// The direction.
    direction: OrderDirection,
}

impl Default for SyncEventOrder {
    fn default() -> Self {
        Self { field: SyncEventOrderField::Published, direction: OrderDirection::Desc }
    }
}

impl From<SyncEventOrder> for EventOrder {
    fn from(order: SyncEventOrder) -> Self {
        let field = match order.field {
            SyncEventOrderField::Published => EventOrderField::Published,
            SyncEventOrderField::Position => EventOrderField::Position,
        };
        Self { field, is_descending: order.direction == OrderDirection::Desc }
    }
}
