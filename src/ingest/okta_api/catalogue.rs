//! The catalogue of an org's applications and instances, read from Okta's Apps API. Without access to that API, the
//! catalogue has only what events mention.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::sleep;

use super::org_api::{ApiError, OrgApi, SystemLogHints, api_backoff};
use crate::catalogue::{Catalogue, InstanceListing};
use crate::okta::{APPS_PAGE, ListedInstance, Resource, read_apps_page};

/// The pause after an event reports a change, since changes often come together.
const DEBOUNCE: Duration = Duration::from_secs(2);

/// The maximum number of pages: 400,000 instances.
const MAX_PAGES: usize = 2000;

/// The number of attempts at a refresh before its next regular time.
const ATTEMPTS: usize = 5;

/// Refreshes the catalogue of an org at the start, at intervals, and when an event reports that applications have changed.
pub(super) async fn run(catalogue: &Catalogue, api: &OrgApi, hints: &SystemLogHints) {
    let mut last_error = None;
    loop {
        let mut backoff = api_backoff();
        for _ in 0..ATTEMPTS {
            match refresh(catalogue, api).await {
                Ok(instances) => {
                    if last_error.take().is_some() {
                        tracing::info!(org = api.org, instances, "applications can be listed again");
                    }
                    break;
                }
                Err(error) => {
                    metrics::counter!("sluice_catalogue_failures_total", "org" => api.org.clone()).increment(1);
                    let text = error.to_string();
                    if last_error.as_ref() != Some(&text) {
                        tracing::warn!("could not list applications: org {}, {text}", api.org);
                        last_error = Some(text);
                    }
                    if matches!(&error, ApiError::Okta(error) if error.is_lasting()) {
                        break;
                    }
                    sleep(backoff.pause()).await;
                }
            }
        }
        tokio::select! {
            () = sleep(api.options.catalogue_interval) => {}
            () = hints.applications.notified() => sleep(DEBOUNCE).await,
        }
    }
}

/// Reads the whole list of applications. Returns the number of instances.
async fn refresh(catalogue: &Catalogue, api: &OrgApi) -> Result<usize, ApiError> {
    let org = api.org.as_str();
    // Only instances that were known before the read can be missing from the list.
    let before = catalogue.listed_before(org).await?;
    let mut found = HashSet::new();
    let limit = APPS_PAGE.to_string();
    let mut next = Some(api.client.url(Resource::Apps, &[("limit", &limit), ("includeNonDeleted", "true")]));
    for _ in 0..MAX_PAGES {
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
        // An instance without a status counts as active, so that its removal from the list is noticed later.
        let status = status.or_else(|| Some("ACTIVE".to_owned()));
        Self { instance_id: id, application: name, label, status }
    }
}
