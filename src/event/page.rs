//! Pages of a list as Relay's cursor connections define them, and the orders of events.

use std::cmp::Ordering;

use super::{EventFields, Position, Timestamp};

/// The value by which events are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrderField {
    /// The time at which they happened; events of one moment are ordered by position.
    Published,
    /// The position in the log.
    Position,
}

/// An order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventOrder {
    /// The value by which events are ordered.
    pub field: EventOrderField,
    /// True if the greatest value comes first.
    pub is_descending: bool,
}

impl EventOrder {
    /// Compares two events in a list that is read from one of its ends.
    pub fn compare<E: EventFields>(self, one: &E, other: &E, from: Direction) -> Ordering {
        let by_time = match self.field {
            EventOrderField::Published => one.published().cmp(&other.published()),
            EventOrderField::Position => Ordering::Equal,
        };
        let ascending = by_time.then(one.position().cmp(&other.position()));
        if self.is_descending == (from == Direction::Forward) { ascending.reverse() } else { ascending }
    }
}

/// The cursor of an event in a list. In a list by position, only the position matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The time at which the event happened.
    pub published: Timestamp,
    /// The position in the log.
    pub position: Position,
}

/// The end of the list from which a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The first items after `after`.
    Forward,
    /// The last items before `before`.
    Backward,
}

/// The exclusive bounds of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageBounds<C> {
    /// The cursor after which the page's items lie.
    pub after: Option<C>,
    /// The cursor before which the page's items lie.
    pub before: Option<C>,
}

/// The default page size.
pub const DEFAULT_PAGE_SIZE: usize = 50;

/// The maximum page size.
pub const MAX_PAGE_SIZE: usize = 1000;

/// A request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// The end of the list from which the page is read.
    pub direction: Direction,
    /// The maximum number of items.
    pub size: usize,
    /// The bounds of the page.
    pub bounds: PageBounds<C>,
}

/// The reason why a page request is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PageRequestError {
    /// `first` and `last` are both given.
    #[error("give either `first` or `last`, not both")]
    BothEnds,
    /// The size is negative.
    #[error("`{0}` is {1}; it must not be negative")]
    Negative(&'static str, i32),
    /// The size is above the limit.
    #[error("`{0}` is {1}; a page has at most {limit} items: use `{0}: {limit}` and continue with its cursor",
            limit = MAX_PAGE_SIZE)]
    TooLarge(&'static str, i32),
}

impl<C> PageRequest<C> {
    /// Creates a request from Relay's arguments.
    ///
    /// # Errors
    /// The arguments contradict each other, or a size is negative or too large.
    pub fn new(first: Option<i32>, last: Option<i32>, bounds: PageBounds<C>) -> Result<Self, PageRequestError> {
        let (direction, size) = match (first, last) {
            (Some(_), Some(_)) => return Err(PageRequestError::BothEnds),
            (None, Some(last)) => (Direction::Backward, checked_size("last", last)?),
            (Some(first), None) => (Direction::Forward, checked_size("first", first)?),
            // `before` alone requests the items next to it, which are at the end of the list before it.
            (None, None) if bounds.before.is_some() && bounds.after.is_none() => {
                (Direction::Backward, DEFAULT_PAGE_SIZE)
            }
            (None, None) => (Direction::Forward, DEFAULT_PAGE_SIZE),
        };
        Ok(Self { direction, size, bounds })
    }
}

fn checked_size(name: &'static str, size: i32) -> Result<usize, PageRequestError> {
    match usize::try_from(size) {
        Err(_) => Err(PageRequestError::Negative(name, size)),
        Ok(size) if size <= MAX_PAGE_SIZE => Ok(size),
        Ok(_) => Err(PageRequestError::TooLarge(name, size)),
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items in the list's order.
    pub items: Vec<T>,
    /// True if the list has items after the page.
    pub has_next: bool,
    /// True if the list has items before the page.
    pub has_previous: bool,
}

impl<T> Page<T> {
    /// Creates a page from items that were read from its end, nearest first. One more item than the page size shows
    /// that the list continues.
    pub fn from_read<C>(mut items: Vec<T>, request: &PageRequest<C>) -> Self {
        let more = items.len() > request.size;
        items.truncate(request.size);
        match request.direction {
            Direction::Forward => Self { items, has_next: more, has_previous: request.bounds.after.is_some() },
            Direction::Backward => {
                items.reverse();
                Self { items, has_next: request.bounds.before.is_some(), has_previous: more }
            }
        }
    }
}
