//! The root of queries.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, OneofObject, Result};
use futures_util::future::try_join_all;

use super::catalogue;
use super::connection::{ApplicationConnection, ApplicationInstanceConnection, SyncEventConnection};
use super::directives::semantic_non_null;
use super::event_lists::WrittenEvent;
use super::filter::SyncEventFilterInput;
use super::ingestion::Ingestion;
use super::nodes::{ApplicationInstanceNode, ApplicationNode, Node, RejectedRecordNode};
use super::order::SyncEventOrder;
use super::page::{self, PageArguments};
use super::scalars::{EventUuid, Url};
use super::viewer::ViewerNode;
use crate::auth::Viewer;
use crate::catalogue::{ApplicationFilter, InstanceFilter};
use crate::event::MAX_PAGE_SIZE;
use crate::graphql::answer::error::{bad_input, coded, from_store};
use crate::graphql::answer::ids::NodeId;
use crate::graphql::answer::loaders::{self, ApplicationKey, EventKey, InstanceKey, RejectionKey};
use crate::log::View;
use crate::okta::instance_id_in_url;

/// The root of queries.
pub(in crate::graphql) struct Query;

/// Queries of the log, of the catalogue of applications, and of the state of ingestion.
#[Object]
impl Query {
    /// The viewer: the one who asks, and what it may see.
    ///
    #[doc = include_str!("examples/viewer.md")]
    async fn viewer(&self, context: &Context<'_>) -> ViewerNode {
        // Each request brings its viewer.
        ViewerNode::from(context.data_unchecked::<Viewer>())
    }

    /// The object with a global id; null if there is none.
    ///
    #[doc = include_str!("examples/node.md")]
    async fn node(&self, context: &Context<'_>, #[graphql(desc = "The global id.")] id: ID) -> Option<Result<Node>> {
        find_node(context, &id).await.transpose()
    }

    /// The objects with these global ids, in the same order; null for an id without an object.
    ///
    #[doc = include_str!("examples/nodes.md")]
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The global ids, at most 1,000.")] ids: Vec<ID>,
    ) -> Option<Result<Vec<Option<Node>>>> {
        Some(find_nodes(context, &ids).await)
    }

    /// The event with Okta's `uuid`; null if there is none.
    ///
    #[doc = include_str!("examples/sync_event.md")]
    async fn sync_event(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Okta's `uuid` of the event.")] uuid: EventUuid,
        #[graphql(desc = "The Okta org, by its name in sluice's settings. Required if several orgs match.")]
        org: Option<String>,
    ) -> Option<Result<WrittenEvent>> {
        let found = async {
            let view = context.data::<View>()?;
            let events = view.events_by_uuid(uuid.0, org.as_deref()).await.map_err(|error| from_store(&error))?;
            only_one(events)
        };
        found.await.transpose().map(|event| event.map(|event| WrittenEvent(event.into())))
    }

    /// The events that match a filter, newest first unless `orderBy` says otherwise, and counts of them.
    ///
    #[doc = include_str!("examples/sync_events.md")]
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn sync_events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The filter that events must match; all events, if it is left out.")] filter: Option<
            SyncEventFilterInput,
        >,
        #[graphql(
            desc = "The order of the list: newest first, unless it is given.",
            default_with = "Some(SyncEventOrder::default())"
        )]
        order_by: Option<SyncEventOrder>,
        #[graphql(
            desc = "The maximum number of items, counted from the start of the list: 0 to 1,000. Without `first` and `last`, 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "The maximum number of items, counted from the end of the list: 0 to 1,000.")] last: Option<
            i32,
        >,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
    ) -> Option<Result<SyncEventConnection>> {
        let read = async {
            let filter = filter.unwrap_or_default().read()?;
            SyncEventConnection::read(context, filter, order_by, PageArguments { first, after, last, before }).await
        };
        Some(read.await)
    }

    /// The application with Okta's key; null if there is none.
    ///
    #[doc = include_str!("examples/application.md")]
    async fn application(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Okta's key of the application, such as office365.")] name: String,
        #[graphql(desc = "The Okta org, by its name in sluice's settings. Required if several orgs match.")]
        org: Option<String>,
    ) -> Option<Result<ApplicationNode>> {
        let filter = ApplicationFilter { org, name: Some(name), search: None };
        let found = async {
            let view = context.data::<View>()?;
            let page = view.applications(&filter, &page::first(2)).await.map_err(|error| from_store(&error))?;
            only_one(page.items)
        };
        found.await.transpose().map(|found| found.map(|application| ApplicationNode(Arc::new(application))))
    }

    /// The applications that events or Okta's Apps API have told of, ordered by key.
    ///
    #[doc = include_str!("examples/applications.md")]
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn applications(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only applications with this text in their key or name, without regard to case.")]
        search: Option<String>,
        #[graphql(
            desc = "The maximum number of items, counted from the start of the list: 0 to 1,000. Without `first` and `last`, 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "The maximum number of items, counted from the end of the list: 0 to 1,000.")] last: Option<
            i32,
        >,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
    ) -> Option<Result<ApplicationConnection>> {
        let filter = ApplicationFilter { search, ..ApplicationFilter::default() };
        Some(catalogue::applications(context, &filter, PageArguments { first, after, last, before }).await)
    }

    /// The application instance with Okta's id, or with the URL of its page in Okta's admin console; null if there is none.
    ///
    #[doc = include_str!("examples/application_instance.md")]
    async fn application_instance(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The instance, by its id or its URL.")] by: ApplicationInstanceBy,
        #[graphql(desc = "The Okta org, by its name in sluice's settings. Required if several orgs match.")]
        org: Option<String>,
    ) -> Option<Result<ApplicationInstanceNode>> {
        find_instance(context, by, org).await.transpose()
    }

    /// The application instances that events or Okta's Apps API have told of, ordered by label.
    ///
    #[doc = include_str!("examples/application_instances.md")]
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn application_instances(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only instances with this text in their label or id, without regard to case.")] search: Option<
            String,
        >,
        #[graphql(desc = "Only instances of the application with this key of Okta's, such as office365.")] application: Option<String>,
        #[graphql(
            desc = "The maximum number of items, counted from the start of the list: 0 to 1,000. Without `first` and `last`, 50."
        )]
        first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "The maximum number of items, counted from the end of the list: 0 to 1,000.")] last: Option<
            i32,
        >,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
    ) -> Option<Result<ApplicationInstanceConnection>> {
        let filter = InstanceFilter { application, search, ..InstanceFilter::default() };
        Some(catalogue::instances(context, &filter, PageArguments { first, after, last, before }).await)
    }

    /// The health of each source of events, the completeness of the log, and the records that could not be read.
    ///
    #[doc = include_str!("examples/ingestion.md")]
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn ingestion(&self) -> Option<Ingestion> {
        Some(Ingestion)
    }
}

/// One application instance: give exactly one of the fields.
#[derive(OneofObject)]
enum ApplicationInstanceBy {
    /// Okta's id of the instance.
    InstanceId(String),
    /// The URL of the instance's page in Okta's admin console.
    Url(Url),
}

/// The only one that was found; an error if several orgs have one.
fn only_one<T>(mut found: Vec<T>) -> Result<Option<T>> {
    if found.len() > 1 {
        return Err(coded("AMBIGUOUS_ORG", "several orgs have one: say which with `org`"));
    }
    Ok(found.pop())
}

async fn find_instance(
    context: &Context<'_>,
    by: ApplicationInstanceBy,
    org: Option<String>,
) -> Result<Option<ApplicationInstanceNode>> {
    let instance_id = match by {
        ApplicationInstanceBy::InstanceId(id) => id,
        ApplicationInstanceBy::Url(url) => instance_id_in_url(&url.0)
            .map(str::to_owned)
            .ok_or_else(|| bad_input(format!("`url` is {:?}, which holds no application instance", url.0)))?,
    };
    let filter = InstanceFilter { org, instance_ids: Some(vec![instance_id]), ..InstanceFilter::default() };
    let view = context.data::<View>()?;
    let page = view.application_instances(&filter, &page::first(2)).await.map_err(|error| from_store(&error))?;
    Ok(only_one(page.items)?.map(|instance| ApplicationInstanceNode(Arc::new(instance))))
}

async fn find_nodes(context: &Context<'_>, ids: &[ID]) -> Result<Vec<Option<Node>>> {
    if ids.len() > MAX_PAGE_SIZE {
        return Err(bad_input(format!("`ids` has {} values, at most {MAX_PAGE_SIZE} are allowed", ids.len())));
    }
    // All at once, so that the objects of one kind are read by one statement.
    try_join_all(ids.iter().map(|id| find_node(context, id))).await
}

async fn find_node(context: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Some(node) = NodeId::decode(id) else { return Ok(None) };
    Ok(match node {
        NodeId::SyncEvent(position) => {
            let event = loaders::load(context, EventKey(position)).await?;
            event.map(|event| Node::SyncEvent(event.into()))
        }
        NodeId::Application { org, name } => {
            let application = loaders::load(context, ApplicationKey { org, name }).await?;
            application.map(|application| Node::Application(ApplicationNode(Arc::new(application))))
        }
        NodeId::ApplicationInstance { org, instance_id } => {
            let instance = loaders::load(context, InstanceKey { org, instance_id }).await?;
            instance.map(|instance| Node::ApplicationInstance(ApplicationInstanceNode(Arc::new(instance))))
        }
        NodeId::RejectedRecord(id) => match loaders::load(context, RejectionKey(id)).await? {
            Some(None) => return Err(bad_input("what these ids stand for is too large for one answer: ask for fewer")),
            Some(Some(rejection)) => Some(Node::RejectedRecord(RejectedRecordNode(rejection))),
            None => None,
        },
    })
}
