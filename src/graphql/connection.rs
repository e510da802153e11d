//! Pages as Relay's connections.

use async_graphql::{Context, Object, Result, SimpleObject};
use tokio::sync::OnceCell;

use super::catalogue::{ApplicationInstanceNode, ApplicationNode};
use super::error::{bad_input, from_store};
use super::node::{decode_cursor, encode_cursor};
use super::order::SyncEventOrder;
use super::scalars::LogPosition;
use super::sync_event::SyncEventNode;
use super::writer::{EdgeList, EventList, columns_of_lists};
use crate::event::{
    Cursor, Cut, Direction, EventColumns, EventFields, EventOrder, EventOrderField, Filter, Page, PageRequest,
};
use crate::log::{MatchingEvents, View};
use crate::store::EventPage;

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
    events: MatchingEvents,
    order: EventOrder,
    request: PageRequest<Cursor>,
    page: EventPage,
    /// Whether the list goes on beyond the page's cursors, looked up once however often it is asked for.
    has_next: OnceCell<bool>,
    has_previous: OnceCell<bool>,
}

/// An event on a page.
#[derive(SimpleObject)]
pub(super) struct SyncEventEdge {
    /// Its place in the list.
    pub(super) cursor: String,
    /// The event.
    pub(super) node: SyncEventNode,
}

/// The place of an event in a list by this field.
pub(super) fn encode_event_cursor(field: EventOrderField, event: &impl EventFields) -> String {
    encode_cursor(field, Cursor { published: event.published(), position: event.position() })
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
        let columns = columns_of_lists(context, order.field);
        let events = context.data::<View>()?.matching(filter);
        let page = events.page(order, &request, columns).await.map_err(|error| from_store(&error))?;
        Ok(Self { events, order, request, page, has_next: OnceCell::new(), has_previous: OnceCell::new() })
    }

    /// Whether the list goes on beyond the page in some direction, where a cursor keeps the page from telling: what lies
    /// beyond a cursor was not read, and the cursor may be of an event that is not in the list.
    async fn goes_on(&self, direction: Direction) -> Result<bool> {
        let nearest = match direction {
            Direction::Forward => self.page.page.items.last(),
            Direction::Backward => self.page.page.items.first(),
        };
        let nearest = nearest.map(|event| Cursor { published: event.published(), position: event.position() });
        let Cut { after, before } = self.request.cut;
        // Between the two cursors is nothing where the page is empty.
        let cut = match direction {
            Direction::Forward => Cut { after: nearest.or(after), before: None },
            Direction::Backward => Cut { after: None, before: nearest.or(before) },
        };
        let request = PageRequest { direction, size: 0, cut };
        let page = self.events.page(self.order, &request, EventColumns::KEYS).await;
        let page = page.map_err(|error| from_store(&error))?.page;
        Ok(match direction {
            Direction::Forward => page.has_next,
            Direction::Backward => page.has_previous,
        })
    }
}

/// A page of events.
#[Object]
impl SyncEventConnection {
    /// The events with their cursors.
    async fn edges(&self) -> EdgeList<'_> {
        EdgeList { events: &self.page.page.items, order: self.order.field }
    }

    /// The events.
    async fn nodes(&self) -> EventList<'_> {
        EventList(&self.page.page.items)
    }

    /// Where the page stands.
    async fn page_info(&self, context: &Context<'_>) -> Result<PageInfo> {
        let mut info = PageInfo::new(&self.page.page, |event| encode_event_cursor(self.order.field, event));
        let PageRequest { direction, size, cut } = &self.request;
        let is_asked = |field: &str| *size > 0 && context.look_ahead().field(field).exists();
        if cut.after.is_some()
            && (*direction == Direction::Forward || !info.has_previous_page)
            && is_asked("hasPreviousPage")
        {
            info.has_previous_page = *self.has_previous.get_or_try_init(|| self.goes_on(Direction::Backward)).await?;
        }
        if cut.before.is_some() && (*direction == Direction::Backward || !info.has_next_page) && is_asked("hasNextPage")
        {
            info.has_next_page = *self.has_next.get_or_try_init(|| self.goes_on(Direction::Forward)).await?;
        }
        Ok(info)
    }

    /// How many events match, counted no further than `upTo` (at most 1,000,000).
    async fn count(&self, #[graphql(default = 10_000)] up_to: i32) -> Result<Count> {
        if !(0..=1_000_000).contains(&up_to) {
            return Err(bad_input(format!("`upTo` is {up_to}; expected 0 to 1000000")));
        }
        let (value, is_exact) = self.events.count(i64::from(up_to)).await.map_err(|error| from_store(&error))?;
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
