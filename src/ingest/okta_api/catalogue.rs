//! The catalogue: which applications and instances an org has, by Okta's Apps API. Without a right to it, the catalogue
//! is what events tell.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::sleep;

use super::org_api::{OrgApi, SystemLogHints, api_backoff};
use crate::okta::{APPS_PAGE, DeliveryError, ListedInstance, OktaError, Resource, read_apps_page};
use crate::store::{Catalogue, InstanceListing, StoreError};

/// How long to wait after an event told of a change: changes come together.
const CALM: Duration = Duration::from_secs(2);

/// The most pages that are read: 400,000 instances.
const MOST_PAGES: usize = 2000;

/// How often a refresh that fails is tried again before its next time.
const ATTEMPTS: usize = 5;

#[derive(Debug, thiserror::Error)]
enum CatalogueError {
    #[error(transparent)]
    Okta(#[from] OktaError),
    #[error("url: what answers there is not an Okta org: {0}")]
    Page(#[from] DeliveryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the catalogue of an org: at the start, at intervals, and when an event tells that applications have changed.
pub(super) async fn keep(catalogue: &Catalogue, api: &OrgApi, hints: &SystemLogHints) {
    let mut told = None;
    loop {
        let mut backoff = api_backoff();
        for _ in 0..ATTEMPTS {
            match refresh(catalogue, api).await {
                Ok(instances) => {
                    if told.take().is_some() {
                        tracing::info!(org = api.org, instances, "applications can be listed again");
                    }
                    break;
                }
                Err(error) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::warn!("could not list applications: org {}, {text}", api.org);
                        told = Some(text);
                    }
                    if matches!(&error, CatalogueError::Okta(error) if error.is_lasting()) {
                        break;
                    }
                    sleep(backoff.pause()).await;
                }
            }
        }
        tokio::select! {
            () = sleep(api.options.catalogue_interval) => {}
            () = hints.applications.notified() => sleep(CALM).await,
        }
    }
}

/// Reads the whole list; gives how many instances there are.
async fn refresh(catalogue: &Catalogue, api: &OrgApi) -> Result<usize, CatalogueError> {
    let org = api.org.as_str();
    // What comes up while the list is read is not missing from it.
    let before = catalogue.listed_before(org).await?;
    let mut found = HashSet::new();
    let limit = APPS_PAGE.to_string();
    let mut next = Some(api.client.url(Resource::Apps, &[("limit", &limit), ("includeNonDeleted", "true")]));
    for _ in 0..MOST_PAGES {
        let Some(url) = next.take() else { break };
        api.pause(Resource::Apps).await;
        let page = api.client.get(Resource::Apps, url).await?;
        let listed: Vec<_> = read_apps_page(&page.body)?.into_iter().map(InstanceListing::from).collect();
        found.extend(listed.iter().map(|one| one.instance_id.clone()));
        if !listed.is_empty() {
            catalogue.keep_listed(org, &listed, page.answered_at).await?;
        }
        next = page.next;
    }
    if next.is_some() {
        tracing::warn!(
            org,
            instances = found.len(),
            "the list of applications is too long; the rest comes from events"
        );
        return Ok(found.len());
    }
    let gone: Vec<_> = before.difference(&found).cloned().collect();
    if !gone.is_empty() {
        catalogue.mark_deleted(org, &gone).await?;
    }
    Ok(found.len())
}

impl From<ListedInstance> for InstanceListing {
    fn from(listed: ListedInstance) -> Self {
        let ListedInstance { id, name, label, status } = listed;
        // Whatever it is, it is listed: what has a status can be missed later.
        let status = status.or_else(|| Some("ACTIVE".to_owned()));
        Self { instance_id: id, application: name, label, status }
    }
}
