//! Pages of lists, by Relay's rules: the arguments that ask for a page, and where a page stands.

use async_graphql::{Result, SimpleObject};

use crate::event::{Direction, Page, PageBounds, PageRequest};
use crate::graphql::answer::error::bad_input;

/// The place of a page in its list.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// True if the list goes on after this page.
    pub(super) has_next_page: bool,
    /// True if the list goes on before this page.
    pub(super) has_previous_page: bool,
    /// The cursor of the first item: give it as `before` for the page before; null for an empty page.
    start_cursor: Option<String>,
    /// The cursor of the last item: give it as `after` for the next page; null for an empty page.
    end_cursor: Option<String>,
}

impl PageInfo {
    /// The place of a page that begins and ends at these cursors.
    pub(super) const fn of_cursors(
        has_next_page: bool,
        has_previous_page: bool,
        start_cursor: Option<String>,
        end_cursor: Option<String>,
    ) -> Self {
        Self { has_next_page, has_previous_page, start_cursor, end_cursor }
    }

    pub(in crate::graphql) fn new<T>(page: &Page<T>, cursor: impl Fn(&T) -> String) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.items.first().map(&cursor),
            end_cursor: page.items.last().map(&cursor),
        }
    }
}

/// Relay's arguments of a page.
pub(super) struct PageArguments {
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) after: Option<String>,
    pub(in crate::graphql) last: Option<i32>,
    pub(in crate::graphql) before: Option<String>,
}

impl PageArguments {
    pub(in crate::graphql) fn read<C>(self, decode: impl Fn(&str) -> Option<C>) -> Result<PageRequest<C>> {
        let cursor = |name: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) => match decode(&text) {
                Some(cursor) => Ok(Some(cursor)),
                None => Err(bad_input(format!("`{name}` is {text:?}, which is no cursor of this list"))),
            },
        };
        let bounds = PageBounds { after: cursor("after", self.after)?, before: cursor("before", self.before)? };
        PageRequest::new(self.first, self.last, bounds).map_err(|error| bad_input(error.to_string()))
    }
}

/// A request for the first `size` entries of a list.
pub(in crate::graphql) const fn first<C>(size: usize) -> PageRequest<C> {
    PageRequest { direction: Direction::Forward, size, bounds: PageBounds { after: None, before: None } }
}
