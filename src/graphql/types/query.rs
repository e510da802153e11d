//! The root of queries.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, OneofObject, Result};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::catalogue;
use super::connection::{ApplicationConnection, ApplicationInstanceConnection, SyncEventConnection};
use super::event_lists::WrittenEvent;
use super::filter::SyncEventFilterInput;
use super::ingestion::Ingestion;
use super::nodes::{ApplicationInstanceNode, ApplicationNode, Node, RejectedRecordNode};
use super::order::SyncEventOrder;
use super::page::{self, PageArguments};
use super::scalars::Url;
use super::statistics::{self, ActivityBucketNode, ActivityInterval, SyncEventDimension, TallyNode};
use crate::catalogue::{ApplicationFilter, InstanceFilter};
use crate::event::{MAX_PAGE_SIZE, Page};
use crate::graphql::answer::error::{bad_input, coded, from_store};
use crate::graphql::answer::ids::{NodeId, decode_key};
use crate::graphql::answer::loaders::{self, ApplicationKey, EventKey, InstanceKey, RejectionKey};
use crate::log::View;
use crate::okta::instance_id_in_url;

/// The root of queries.
pub(in crate::graphql) struct Query;

/// Reads of the log.
#[Object]
impl Query {
    /// What a global id stands for; null where there is nothing.
    async fn node(&self, context: &Context<'_>, id: ID) -> Option<Result<Node>> {
        find_node(context, &id).await.transpose()
    }

    /// What several global ids stand for, in their order.
    async fn nodes(&self, context: &Context<'_>, ids: Vec<ID>) -> Result<Vec<Option<Node>>> {
        if ids.len() > MAX_PAGE_SIZE {
            return Err(bad_input(format!("`ids` has {} values, at most {MAX_PAGE_SIZE} are allowed", ids.len())));
        }
        // All at once, so that the objects of one kind are read by one statement.
        try_join_all(ids.iter().map(|id| find_node(context, id))).await
    }

    /// The event with Okta's uuid.
    async fn sync_event(&self, context: &Context<'_>, uuid: Uuid, org: Option<String>) -> Option<Result<WrittenEvent>> {
        let found = async {
            let view = context.data::<View>()?;
            let events = view.events_by_uuid(uuid, org.as_deref()).await.map_err(|error| from_store(&error))?;
            only_one(events)
        };
        found.await.transpose().map(|event| event.map(|event| WrittenEvent(event.into())))
    }

    /// Events, newest first unless `orderBy` says otherwise.
    async fn sync_events(
        &self,
        context: &Context<'_>,
        filter: Option<SyncEventFilterInput>,
        #[graphql(default_with = "Some(SyncEventOrder::default())")] order_by: Option<SyncEventOrder>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<SyncEventConnection> {
        let filter = filter.unwrap_or_default().read()?;
        SyncEventConnection::read(context, filter, order_by, PageArguments { first, after, last, before }).await
    }

    /// How many events there were in each stretch of time, the oldest first; stretches without any are left out. At
    /// most 10,000 buckets; more is an error. `timeZone` says where days, weeks and months start: a name of the IANA's
    /// database, such as Europe/Berlin.
    async fn activity(
        &self,
        context: &Context<'_>,
        filter: Option<SyncEventFilterInput>,
        interval: ActivityInterval,
        by: Option<SyncEventDimension>,
        #[graphql(default_with = "Some(\"UTC\".to_owned())")] time_zone: Option<String>,
    ) -> Result<Vec<ActivityBucketNode>> {
        statistics::activity(context, filter, interval, by, time_zone.as_deref().unwrap_or("UTC")).await
    }

    /// What there is most of: events counted by what they have in common, the most frequent first. At most 1,000.
    async fn top(
        &self,
        context: &Context<'_>,
        filter: Option<SyncEventFilterInput>,
        by: SyncEventDimension,
        #[graphql(default_with = "Some(10)")] first: Option<i32>,
    ) -> Result<Vec<TallyNode>> {
        statistics::top(context, filter, by, first.unwrap_or(10)).await
    }

    /// The application with Okta's key.
    async fn application(
        &self,
        context: &Context<'_>,
        name: String,
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

    /// Applications, by key. `search` finds a text in keys and names.
    async fn applications(
        &self,
        context: &Context<'_>,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<ApplicationConnection> {
        let request = PageArguments { first, after, last, before }.read(decode_key)?;
        let filter = ApplicationFilter { search, ..ApplicationFilter::default() };
        let page = context.data::<View>()?.applications(&filter, &request).await.map_err(|error| from_store(&error))?;
        let items = page.items.into_iter().map(|found| ApplicationNode(Arc::new(found))).collect();
        Ok(ApplicationConnection::new(Page { items, has_next: page.has_next, has_previous: page.has_previous }))
    }

    /// The application instance with Okta's id, or with a URL of its page in the admin console.
    async fn application_instance(
        &self,
        context: &Context<'_>,
        by: ApplicationInstanceBy,
        org: Option<String>,
    ) -> Option<Result<ApplicationInstanceNode>> {
        find_instance(context, by, org).await.transpose()
    }

    /// Application instances, by label. `search` finds a text in labels and ids.
    async fn application_instances(
        &self,
        context: &Context<'_>,
        search: Option<String>,
        application: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<ApplicationInstanceConnection> {
        let filter = InstanceFilter { application, search, ..InstanceFilter::default() };
        catalogue::instances(context, &filter, PageArguments { first, after, last, before }).await
    }

    /// The state of ingestion.
    async fn ingestion(&self) -> Ingestion {
        Ingestion
    }
}

/// One application instance: give exactly one of the fields.
#[derive(OneofObject)]
enum ApplicationInstanceBy {
    /// Okta's id of the instance.
    InstanceId(String),
    /// A URL of the instance's page in the admin console.
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
