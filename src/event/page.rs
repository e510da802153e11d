//! Pages of a list, as Relay asks for them, and the orders in which events are listed.

use std::cmp::Ordering;

use super::{Position, SyncEvent, Timestamp};

/// By what events are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrderField {
    /// When they happened; at the same moment by position.
    Published,
    /// Their place in the log.
    Position,
}

/// An order in which events are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventOrder {
    /// By what.
    pub field: EventOrderField,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

impl EventOrder {
    /// Which of two events comes first, seen from an end of the list.
    pub fn compare(self, one: &SyncEvent, other: &SyncEvent, from: Direction) -> Ordering {
        let by_time = match self.field {
            EventOrderField::Published => one.occurrence.published.cmp(&other.occurrence.published),
            EventOrderField::Position => Ordering::Equal,
        };
        let ascending = by_time.then(one.position.cmp(&other.position));
        if self.is_descending == (from == Direction::Forward) { ascending.reverse() } else { ascending }
    }
}

/// The place of an event in a list of events. Where the list is by position, that alone counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the event happened.
    pub published: Timestamp,
    /// Its place in the log.
    pub position: Position,
}

/// From which end of the list a page is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The first items after `after`.
    Forward,
    /// The last items before `before`.
    Backward,
}

/// The bounds between which a page lies, both left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut<C> {
    /// Only what comes after this in the list.
    pub after: Option<C>,
    /// Only what comes before this in the list.
    pub before: Option<C>,
}

/// The size of a page when nothing is said.
pub const DEFAULT_PAGE_SIZE: usize = 50;

/// The largest page.
pub const MAX_PAGE_SIZE: usize = 1000;

/// A page that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// From which end.
    pub direction: Direction,
    /// At most how many items.
    pub size: usize,
    /// Between which items.
    pub cut: Cut<C>,
}

/// Why a page cannot be given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PageRequestError {
    /// Both ends at once.
    #[error("give either `first` or `last`, not both")]
    BothEnds,
    /// A page below nothing.
    #[error("`{0}` must not be negative, {1} is")]
    Negative(&'static str, i32),
    /// A page beyond the limit.
    #[error("`{0}` is {1}, a page has at most {limit}: ask for `{0}: {limit}` and continue with its cursor",
            limit = MAX_PAGE_SIZE)]
    TooLarge(&'static str, i32),
}

impl<C> PageRequest<C> {
    /// Reads Relay's arguments.
    ///
    /// # Errors
    /// Both ends, a negative or a too large size.
    pub fn new(first: Option<i32>, last: Option<i32>, cut: Cut<C>) -> Result<Self, PageRequestError> {
        let (direction, size) = match (first, last) {
            (Some(_), Some(_)) => return Err(PageRequestError::BothEnds),
            (None, Some(last)) => (Direction::Backward, checked_size("last", last)?),
            (Some(first), None) => (Direction::Forward, checked_size("first", first)?),
            // `before` alone asks for what comes before it: the end nearest to it.
            (None, None) if cut.before.is_some() && cut.after.is_none() => (Direction::Backward, DEFAULT_PAGE_SIZE),
            (None, None) => (Direction::Forward, DEFAULT_PAGE_SIZE),
        };
        Ok(Self { direction, size, cut })
    }
}

fn checked_size(name: &'static str, size: i32) -> Result<usize, PageRequestError> {
    match usize::try_from(size) {
        Err(_) => Err(PageRequestError::Negative(name, size)),
        Ok(size) if size <= MAX_PAGE_SIZE => Ok(size),
        Ok(_) => Err(PageRequestError::TooLarge(name, size)),
    }
}

/// One page, and whether the list goes on at either end.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What is on it, in the list's order.
    pub items: Vec<T>,
    /// Whether the list goes on after it.
    pub has_next: bool,
    /// Whether the list goes on before it.
    pub has_previous: bool,
}

impl<T> Page<T> {
    /// The page out of what was read from its end, nearest first, one item more than its size where there are more.
    pub fn from_read<C>(mut items: Vec<T>, request: &PageRequest<C>) -> Self {
        let more = items.len() > request.size;
        items.truncate(request.size);
        match request.direction {
            Direction::Forward => Self { items, has_next: more, has_previous: request.cut.after.is_some() },
            Direction::Backward => {
                items.reverse();
                Self { items, has_next: request.cut.before.is_some(), has_previous: more }
            }
        }
    }
}
