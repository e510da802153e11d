//! The orders in which clients want lists of events.

use async_graphql::{Enum, InputObject};

use crate::event::{EventOrder, EventOrderField};

/// By what events are ordered.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncEventOrderField {
    /// When they happened in Okta; at the same moment by position.
    Published,
    /// Their place in the log, which is the order in which sluice stored them.
    Position,
}

/// Which end of an order comes first.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderDirection {
    /// The least first: the oldest.
    Asc,
    /// The greatest first: the newest.
    Desc,
}

/// The order of a list of events.
#[derive(InputObject, Clone, Copy, Debug)]
pub(super) struct SyncEventOrder {
    /// The value by which events are ordered.
    field: SyncEventOrderField,
    /// Which end comes first.
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
