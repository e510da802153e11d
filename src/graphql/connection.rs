//! Pages as Relay's connections.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::catalogue::{ApplicationInstanceNode, ApplicationNode};
use super::error::{bad_input, from_store};
use super::node::{decode_cursor, encode_cursor};
use super::order::SyncEventOrder;
use super::scalars::LogPosition;
use super::sync_event::SyncEventNode;
use crate::event::{Cursor, Cut, EventOrder, Filter, Page, PageRequest, SyncEvent};
use crate::store::{EventPage, Store};

/// Where a page stands in its list.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// Whether the list goes on after this page.
    has_next_page: bool,
    /// Whether the list goes on before this page.
    has_previous_page: bool,
    /// The cursor of the first item.
    start_cursor: Option<String>,
    /// The cursor of the last item: give it as `after` for the next page.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn new<T>(page: &Page<T>, cursor: impl Fn(&T) -> String) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.items.first().map(&cursor),
            end_cursor: page.items.last().map(&cursor),
        }
    }
}

/// Relay's arguments.
pub(super) struct PageArguments {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl PageArguments {
    pub(super) fn read<C>(self, decode: impl Fn(&str) -> Option<C>) -> Result<PageRequest<C>> {
        let cursor = |name: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) => match decode(&text) {
                Some(cursor) => Ok(Some(cursor)),
                None => Err(bad_input(format!("`{name}` is {text:?}, which is no cursor of this list"))),
            },
        };
        let cut = Cut { after: cursor("after", self.after)?, before: cursor("before", self.before)? };
        PageRequest::new(self.first, self.last, cut).map_err(|error| bad_input(error.to_string()))
    }
}

/// How many there are.
#[derive(SimpleObject)]
pub(super) struct Count {
    /// So many; at least so many where it is not exact.
    value: i64,
    /// Whether that is all.
    is_exact: bool,
}

/// A page of events.
pub(super) struct SyncEventConnection {
    filter: Filter,
    order: EventOrder,
    page: EventPage,
}

/// An event on a page.
#[derive(SimpleObject)]
pub(super) struct SyncEventEdge {
    /// Its place in the list.
    cursor: String,
    /// The event.
    node: SyncEventNode,
}

impl SyncEventConnection {
    pub(super) async fn read(
        context: &Context<'_>,
        filter: Filter,
        order: Option<SyncEventOrder>,
        arguments: PageArguments,
    ) -> Result<Self> {
        let order = EventOrder::from(order.unwrap_or_default());
        let request = arguments.read(|text| decode_cursor(order.field, text))?;
        let store = context.data::<Store>()?;
        let page = store.page(&filter, order, &request).await.map_err(|error| from_store(&error))?;
        Ok(Self { filter, order, page })
    }

    fn cursor(&self, event: &SyncEvent) -> String {
        let cursor = Cursor { published: event.occurrence.published, position: event.position };
        encode_cursor(self.order.field, cursor)
    }
}

/// A page of events.
#[Object]
impl SyncEventConnection {
    /// The events with their cursors.
    async fn edges(&self) -> Vec<SyncEventEdge> {
        let edge =
            |event: &SyncEvent| SyncEventEdge { cursor: self.cursor(event), node: SyncEventNode::from(event.clone()) };
        self.page.page.items.iter().map(edge).collect()
    }

    /// The events.
    async fn nodes(&self) -> Vec<SyncEventNode> {
        self.page.page.items.iter().cloned().map(SyncEventNode::from).collect()
    }

    /// Where the page stands.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.page.page, |event| self.cursor(event))
    }

    /// How many events match, counted no further than `upTo` (at most 1,000,000).
    async fn count(&self, context: &Context<'_>, #[graphql(default = 10_000)] up_to: i32) -> Result<Count> {
        if !(0..=1_000_000).contains(&up_to) {
            return Err(bad_input(format!("`upTo` is {up_to}; expected 0 to 1000000")));
        }
        let store = context.data::<Store>()?;
        let (value, is_exact) =
            store.count(&self.filter, i64::from(up_to)).await.map_err(|error| from_store(&error))?;
        Ok(Count { value, is_exact })
    }

    /// The log's end when the page was read: `subscribe(after: head)` continues it.
    async fn head(&self) -> LogPosition {
        LogPosition(self.page.head)
    }
}

/// An application on a page.
#[derive(SimpleObject)]
pub(super) struct ApplicationEdge {
    /// Its place in the list.
    cursor: String,
    /// The application.
    node: ApplicationNode,
}

/// A page of applications.
#[derive(SimpleObject)]
pub(super) struct ApplicationConnection {
    /// The applications with their cursors.
    edges: Vec<ApplicationEdge>,
    /// The applications.
    nodes: Vec<ApplicationNode>,
    /// Where the page stands.
    page_info: PageInfo,
}

impl ApplicationConnection {
    pub(super) fn new(page: Page<ApplicationNode>) -> Self {
        let page_info = PageInfo::new(&page, ApplicationNode::cursor);
        let edges = page.items.iter().map(|node| ApplicationEdge { cursor: node.cursor(), node: node.clone() });
        Self { edges: edges.collect(), nodes: page.items, page_info }
    }
}

/// An application instance on a page.
#[derive(SimpleObject)]
pub(super) struct ApplicationInstanceEdge {
    /// Its place in the list.
    cursor: String,
    /// The application instance.
    node: ApplicationInstanceNode,
}

/// A page of application instances.
#[derive(SimpleObject)]
pub(super) struct ApplicationInstanceConnection {
    /// The application instances with their cursors.
    edges: Vec<ApplicationInstanceEdge>,
    /// The application instances.
    nodes: Vec<ApplicationInstanceNode>,
    /// Where the page stands.
    page_info: PageInfo,
}

impl ApplicationInstanceConnection {
    pub(super) fn new(page: Page<ApplicationInstanceNode>) -> Self {
        let page_info = PageInfo::new(&page, ApplicationInstanceNode::cursor);
        let edges = page.items.iter().map(|node| ApplicationInstanceEdge { cursor: node.cursor(), node: node.clone() });
        Self { edges: edges.collect(), nodes: page.items, page_info }
    }
}
