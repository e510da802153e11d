//! Connections: pages by Relay's rules.

use async_graphql::{Context, Object, Result, SimpleObject};
use tokio::sync::OnceCell;

use super::count::Count;
use super::directives::semantic_non_null;
use super::event_lists::{EdgeList, EventList, columns_of_lists};
use super::nodes::{ApplicationInstanceNode, ApplicationNode};
use super::order::SyncEventOrder;
use super::page::{PageArguments, PageInfo};
use super::scalars::LogPosition;
use super::statistics::{
    self, HistogramArguments, HistogramNode, HistogramStepInput, SyncEventDimension, TallyConnection, TopArguments,
};
use crate::event::{
    Cursor, Direction, EventColumns, EventFields as _, EventOrder, Filter, Page, PageBounds, PageRequest,
};
use crate::graphql::answer::error::{bad_input, from_store};
use crate::graphql::answer::ids::{decode_cursor, encode_event_cursor};
use crate::log::{MatchingEvents, View};
use crate::store::EventPage;

/// A page of events.
pub(in crate::graphql) struct SyncEventConnection {
    events: MatchingEvents,
    order: EventOrder,
    request: PageRequest<Cursor>,
    page: EventPage,
    /// True if the list goes on beyond the page's cursors. Both are looked up once for all that select them.
    has_next: OnceCell<bool>,
    has_previous: OnceCell<bool>,
}

impl SyncEventConnection {
    pub(in crate::graphql) async fn read(
        context: &Context<'_>,
        filter: Filter,
        order: Option<SyncEventOrder>,
        arguments: PageArguments,
    ) -> Result<Self> {
        let order = EventOrder::from(order.unwrap_or_default());
        let request = arguments.read(|text| decode_cursor(order.field, text))?;
        let columns = columns_of_lists(context, order.field);
        let view = context.data::<View>()?;
        let events = view.matching(filter);
        let page = match columns {
            Some(columns) => events.page(order, &request, columns).await,
            None => view.head().await.map(EventPage::empty),
        };
        let page = page.map_err(|error| from_store(&error))?;
        Ok(Self { events, order, request, page, has_next: OnceCell::new(), has_previous: OnceCell::new() })
    }

    async fn count(&self, up_to: i32) -> Result<Count> {
        if !(0..=1_000_000).contains(&up_to) {
            return Err(bad_input(format!("`upTo` is {up_to}; expected 0 to 1000000")));
        }
        let counted = self.events.count(i64::from(up_to), self.page.head).await;
        let (value, is_exact) = counted.map_err(|error| from_store(&error))?;
        Ok(Count::new(value, is_exact))
    }

    /// Looks whether the list goes on beyond the page in a direction. The page itself cannot tell where it ends at a cursor,
    /// since nothing was read beyond, and the event of a cursor need not be in the list.
    async fn goes_on(&self, direction: Direction) -> Result<bool> {
        let nearest = match direction {
            Direction::Forward => self.page.page.items.last(),
            Direction::Backward => self.page.page.items.first(),
        };
        let nearest = nearest.map(|event| Cursor { published: event.published(), position: event.position() });
        let PageBounds { after, before } = self.request.bounds;
        // If the page is empty, nothing lies between the two cursors.
        let bounds = match direction {
            Direction::Forward => PageBounds { after: nearest.or(after), before: None },
            Direction::Backward => PageBounds { after: None, before: nearest.or(before) },
        };
        let request = PageRequest { direction, size: 0, bounds };
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

    /// The place of the page in the list.
    async fn page_info(&self, context: &Context<'_>) -> Result<PageInfo> {
        let mut info = PageInfo::new(&self.page.page, |event| encode_event_cursor(self.order.field, event));
        let PageRequest { direction, size, bounds } = &self.request;
        let is_asked = |field: &str| *size > 0 && context.look_ahead().field(field).exists();
        if bounds.after.is_some()
            && (*direction == Direction::Forward || !info.has_previous_page)
            && is_asked("hasPreviousPage")
        {
            info.has_previous_page = *self.has_previous.get_or_try_init(|| self.goes_on(Direction::Backward)).await?;
        }
        if bounds.before.is_some()
            && (*direction == Direction::Backward || !info.has_next_page)
            && is_asked("hasNextPage")
        {
            info.has_next_page = *self.has_next.get_or_try_init(|| self.goes_on(Direction::Forward)).await?;
        }
        Ok(info)
    }

    /// The number of events that match the filter, counted up to `upTo`.
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn total_count(
        &self,
        #[graphql(
            desc = "The number at which counting stops, from 0 to 1,000,000. Each 100 add 1 to the cost of the query.",
            default = 10_000
        )]
        up_to: i32,
    ) -> Option<Result<Count>> {
        Some(self.count(up_to).await)
    }

    /// The counts of the matching events over time. The buckets cover the filter's range of `published`. Where the range is
    /// open, they begin with the first matching event, or end with the last one. More than 10,000 buckets are an error.
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn histogram(
        &self,
        #[graphql(desc = "The length of the buckets.", default_with = "HistogramStepInput::Buckets(120)")]
        step: HistogramStepInput,
        #[graphql(desc = "The dimension of the series. Without it, there are no series.")] by: Option<
            SyncEventDimension,
        >,
        #[graphql(desc = "The number of keys that have a series of their own: 1 to 50.", default = 5)] keys: i32,
        #[graphql(
            desc = "The time zone in which buckets begin at round times: a name of the IANA's database, such as Europe/Berlin.",
            default_with = "\"UTC\".to_owned()"
        )]
        time_zone: String,
    ) -> Option<Result<HistogramNode>> {
        let arguments = HistogramArguments { step, by, keys, time_zone };
        let found = statistics::histogram(&self.events, arguments, self.page.head).await;
        Some(found.map(HistogramNode::from))
    }

    /// The most frequent values of a dimension among the matching events, the most frequent first.
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn top(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The dimension: the value by which events are grouped.")] by: SyncEventDimension,
        #[graphql(
            desc = "Only values with this text in the key or the label, without regard to case. Of people, all names in these events count."
        )]
        search: Option<String>,
        #[graphql(
            desc = "True to add values without matching events: those of the catalogue, and those that Okta documents.",
            default = false
        )]
        known: bool,
        #[graphql(desc = "The maximum number of tallies: 0 to 1,000.", default = 10)] first: i32,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Option<Result<TallyConnection>> {
        let counts_keys = context.look_ahead().field("totalCount").exists();
        let is_continued = after.is_some();
        let arguments = TopArguments { by, search, known, first, after, counts_keys };
        let found = statistics::top(&self.events, arguments, self.page.head).await;
        Some(found.map(|page| TallyConnection::new(page, is_continued)))
    }

    /// The newest position when the connection was read. The page and all counts are of the log through this position: a
    /// subscription from here misses nothing.
    async fn head(&self) -> LogPosition {
        LogPosition(self.page.head)
    }
}

/// An application on a page.
#[derive(SimpleObject)]
pub(super) struct ApplicationEdge {
    /// The cursor of the item.
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
    /// The place of the page in the list.
    page_info: PageInfo,
}

impl ApplicationConnection {
    pub(in crate::graphql) fn new(page: Page<ApplicationNode>) -> Self {
        let page_info = PageInfo::new(&page, ApplicationNode::cursor);
        let edges = page.items.iter().map(|node| ApplicationEdge { cursor: node.cursor(), node: node.clone() });
        Self { edges: edges.collect(), nodes: page.items, page_info }
    }
}

/// An application instance on a page.
#[derive(SimpleObject)]
pub(super) struct ApplicationInstanceEdge {
    /// The cursor of the item.
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
    /// The place of the page in the list.
    page_info: PageInfo,
}

impl ApplicationInstanceConnection {
    pub(in crate::graphql) fn new(page: Page<ApplicationInstanceNode>) -> Self {
        let page_info = PageInfo::new(&page, ApplicationInstanceNode::cursor);
        let edges = page.items.iter().map(|node| ApplicationInstanceEdge { cursor: node.cursor(), node: node.clone() });
        Self { edges: edges.collect(), nodes: page.items, page_info }
    }
}
