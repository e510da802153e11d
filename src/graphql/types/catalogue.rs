//! Applications and their instances: the choices in the card's two dropdowns, without the dropdowns' limits.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use super::connection::{ApplicationConnection, ApplicationInstanceConnection, SyncEventConnection};
use super::directives::semantic_non_null;
use super::enums::ApplicationInstanceStatus;
use super::filter::SyncEventFilterInput;
use super::nodes::{ApplicationInstanceNode, ApplicationNode};
use super::order::SyncEventOrder;
use super::orgs::OrgUrls;
use super::page::PageArguments;
use super::scalars::{DateTime, Url, saturated};
use crate::catalogue::{ApplicationFilter, InstanceFilter};
use crate::event::{ApplicationInstance, Filter, Page};
use crate::graphql::answer::error::from_store;
use crate::graphql::answer::ids::{NodeId, decode_key};
use crate::graphql::answer::loaders::{self, ApplicationKey};
use crate::log::View;

/// Reads a page of the applications that match a filter.
pub(in crate::graphql) async fn applications(
    context: &Context<'_>,
    filter: &ApplicationFilter,
    arguments: PageArguments,
) -> Result<ApplicationConnection> {
    let request = arguments.read(decode_key)?;
    let page = context.data::<View>()?.applications(filter, &request).await.map_err(|error| from_store(&error))?;
    let items = page.items.into_iter().map(|found| ApplicationNode(Arc::new(found))).collect();
    Ok(ApplicationConnection::new(Page { items, has_next: page.has_next, has_previous: page.has_previous }))
}

/// Reads a page of the instances that match a filter.
pub(in crate::graphql) async fn instances(
    context: &Context<'_>,
    filter: &InstanceFilter,
    arguments: PageArguments,
) -> Result<ApplicationInstanceConnection> {
    let request = arguments.read(decode_key)?;
    let page =
        context.data::<View>()?.application_instances(filter, &request).await.map_err(|error| from_store(&error))?;
    let items = page.items.into_iter().map(|instance| ApplicationInstanceNode(Arc::new(instance))).collect();
    Ok(ApplicationInstanceConnection::new(Page { items, has_next: page.has_next, has_previous: page.has_previous }))
}

/// A client's filter, narrowed to one org.
fn within(filter: Option<SyncEventFilterInput>, org: &str) -> Result<Filter> {
    let mut filter = filter.unwrap_or_default().read()?;
    filter.orgs = Some(narrow(filter.orgs, org));
    Ok(filter)
}

/// A list with the value alone, or an empty one if the value is not wanted.
fn narrow(wanted: Option<Vec<String>>, value: &str) -> Vec<String> {
    if wanted.is_none_or(|wanted| wanted.iter().any(|one| one == value)) { vec![value.to_owned()] } else { Vec::new() }
}

/// An application of Okta's catalogue, such as Office 365. An org may have several instances of it.
#[Object(name = "Application")]
impl ApplicationNode {
    /// The global id, for `node` and `nodes`.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::Application { org: self.0.org.clone(), name: self.0.name.clone() }.encode().into()
    }

    /// The Okta org, by its name in sluice's settings.
    async fn org(&self) -> &str {
        &self.0.org
    }

    /// Okta's key of the application, such as office365. Apps API: `name`.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The application's name in Okta's catalogue of applications.
    async fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    /// The instances of the application, ordered by label.
    #[graphql(directive = semantic_non_null::apply(vec![0]))]
    async fn instances(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only instances with this text in their label or id, without regard to case.")] search: Option<
            String,
        >,
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
        let filter = InstanceFilter {
            org: Some(self.0.org.clone()),
            application: Some(self.0.name.clone()),
            search,
            instance_ids: None,
        };
        Some(instances(context, &filter, PageArguments { first, after, last, before }).await)
    }

    /// The events of all instances of the application, newest first unless `orderBy` says otherwise.
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
            let mut filter = within(filter, &self.0.org)?;
            filter.applications = Some(narrow(filter.applications, &self.0.name));
            SyncEventConnection::read(context, filter, order_by, PageArguments { first, after, last, before }).await
        };
        Some(read.await)
    }

    /// The number of stored events.
    async fn event_count(&self) -> i32 {
        saturated(self.0.event_count)
    }

    /// When the newest of these events happened; null without events.
    async fn last_event_at(&self) -> Option<DateTime> {
        self.0.last_event_at.map(DateTime)
    }
}

/// An application instance: an application as an Okta admin has added it to an org, with a label and settings of its own.
#[Object(name = "ApplicationInstance")]
impl ApplicationInstanceNode {
    /// The global id, for `node` and `nodes`.
    pub(in crate::graphql) async fn id(&self) -> ID {
        let (org, instance_id) = (self.0.org.clone(), self.0.instance_id.clone());
        NodeId::ApplicationInstance { org, instance_id }.encode().into()
    }

    /// The Okta org, by its name in sluice's settings.
    async fn org(&self) -> &str {
        &self.0.org
    }

    /// Okta's id of the instance, such as 0oahjhk34aUxGnWcZ0h7. Apps API: `id`.
    async fn instance_id(&self) -> &str {
        &self.0.instance_id
    }

    /// The label in Okta's admin console. Apps API: `label`.
    async fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }

    /// The status in Okta; null for an instance that sluice knows only from events. Apps API: `status`.
    async fn status(&self) -> Option<ApplicationInstanceStatus> {
        ApplicationInstanceStatus::named(self.0.status.as_deref()?)
    }

    /// The application; null while sluice does not know which one it is.
    async fn application(&self, context: &Context<'_>) -> Option<Result<ApplicationNode>> {
        let key = ApplicationKey { org: self.0.org.clone(), name: self.0.application.clone()? };
        let found = loaders::load(context, key).await.transpose()?;
        Some(found.map(|application| ApplicationNode(Arc::new(application))))
    }

    /// The instance's page in Okta's admin console; null if sluice does not know the org's URL or the application.
    async fn admin_url(&self, context: &Context<'_>) -> Option<Url> {
        let ApplicationInstance { org, instance_id, application, .. } = &*self.0;
        let url = context.data_opt::<OrgUrls>()?.0.get(org)?.trim_end_matches('/');
        Some(Url(format!("{url}/admin/app/{}/instance/{instance_id}/", application.as_ref()?)))
    }

    /// The events of the instance, newest first unless `orderBy` says otherwise.
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
            let mut filter = within(filter, &self.0.org)?;
            filter.application_instances = Some(narrow(filter.application_instances, &self.0.instance_id));
            SyncEventConnection::read(context, filter, order_by, PageArguments { first, after, last, before }).await
        };
        Some(read.await)
    }

    /// The number of stored events.
    async fn event_count(&self) -> i32 {
        saturated(self.0.event_count)
    }

    /// When the newest of these events happened; null without events.
    async fn last_event_at(&self) -> Option<DateTime> {
        self.0.last_event_at.map(DateTime)
    }
}
