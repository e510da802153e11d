//! `GET /api/v1/apps` and the application instances in its list.

use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::link::Place;
use super::refusal::Refusal;
use super::{Org, link, lock};
use crate::organisation::Organisation;

/// The maximum number of instances on a page.
const MAX_LIMIT: usize = 200;

/// The default number, which Okta's documentation leaves open.
const DEFAULT_LIMIT: usize = 20;

/// The status of an application instance. Deleted instances are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppStatus {
    /// The instance is in use.
    Active,
    /// The instance is deactivated.
    Inactive,
}

/// An application instance in the Apps API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRecord {
    /// Okta's id, `0oa…`.
    pub id: String,
    /// The application's name, such as `office365`.
    pub name: String,
    /// The label of the instance.
    pub label: String,
    /// The sign-on mode.
    pub sign_on_mode: String,
    /// The status.
    pub status: AppStatus,
}

/// The application instances of the org. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct AppDirectory(Arc<Mutex<Vec<AppRecord>>>);

impl AppDirectory {
    /// Creates the list of an organisation's instances, all of them active.
    pub fn of(organisation: &Organisation) -> Self {
        let records = organisation.instances().iter().map(|instance| AppRecord {
            id: instance.id.clone(),
            name: instance.application.name.clone(),
            label: instance.label.clone(),
            sign_on_mode: instance.application.sign_on_mode.to_owned(),
            status: AppStatus::Active,
        });
        Self(Arc::new(Mutex::new(records.collect())))
    }

    /// Returns the current list.
    pub fn records(&self) -> Vec<AppRecord> {
        lock(&self.0).clone()
    }

    /// Changes the instance with an id, if it exists.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut AppRecord)) {
        if let Some(record) = lock(&self.0).iter_mut().find(|record| record.id == id) {
            change(record);
        }
    }

    /// Deletes an instance, which is no longer listed.
    pub fn delete(&self, id: &str) {
        lock(&self.0).retain(|record| record.id != id);
    }
}

/// Responds with a page of instances, with its links in the headers.
pub(super) fn list(
    org: &Org,
    url: &str,
    parameters: &[(String, String)],
    headers: &mut HeaderMap,
) -> Result<String, Refusal> {
    let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let limit = match get("limit").map_or(Ok(DEFAULT_LIMIT), str::parse) {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => limit,
        _ => return Err(Refusal::validation("limit: at most 200 apps a page")),
    };
    let all = match get("includeNonDeleted").unwrap_or("false") {
        "true" => true,
        "false" => false,
        _ => return Err(Refusal::validation("includeNonDeleted: it is true or false")),
    };
    let mut rest = reqwest::Url::parse("http://rest/").map_err(|_| Refusal::validation("query"))?;
    rest.query_pairs_mut().extend_pairs(parameters.iter().filter(|(key, _)| key != "after"));
    let rest = rest.query().unwrap_or_default().to_owned();
    let now = org.now();
    let place = get("after").map(|token| org.links.read(token, &rest, org.options.link_lifetime, now));
    let place = place.transpose().map_err(|rule| Refusal::validation(&format!("after: {rule}")))?;
    let records = org.apps.records();
    let from = place.map_or(0, |place| usize::try_from(place.at).unwrap_or(usize::MAX).min(records.len()));
    let mut page = Vec::new();
    let mut at = from;
    while at < records.len() && page.len() < limit {
        if all || records[at].status == AppStatus::Active {
            page.push(print(&records[at], url));
        }
        at += 1;
    }
    let mut links = vec![("self", format!("{url}?{rest}"))];
    if at < records.len() {
        let token = org.links.token(Place { at: i128::try_from(at).unwrap_or(0), then: 0 }, &rest, now);
        links.push(("next", format!("{url}?{rest}&after={token}")));
    }
    link::tell(headers, &links, org.options.joined_links);
    Ok(Value::Array(page).to_string())
}

/// Formats an instance as Okta does; the parts that do not depend on the instance are constant.
fn print(record: &AppRecord, url: &str) -> Value {
    let AppRecord { id, name, label, sign_on_mode, status } = record;
    json!({
        "id": id,
        "orn": format!("orn:okta:idp:00osim0000000000005d7:apps:{name}:{id}"),
        "name": name,
        "label": label,
        "status": if *status == AppStatus::Active { "ACTIVE" } else { "INACTIVE" },
        "created": "2024-02-03T04:05:06.000Z",
        "lastUpdated": "2024-02-03T04:05:06.000Z",
        "accessibility": {"selfService": false, "errorRedirectUrl": null, "loginRedirectUrl": null},
        "visibility": {"autoSubmitToolbar": false, "hide": {"iOS": false, "web": false}, "appLinks": {"login": true}},
        "features": ["PUSH_NEW_USERS", "PUSH_PROFILE_UPDATES", "PUSH_USER_DEACTIVATION"],
        "signOnMode": sign_on_mode,
        "credentials": {"userNameTemplate": {"template": "${source.login}", "type": "BUILT_IN"}, "signing": {}},
        "settings": {"app": {}, "notifications": {"vpn": {"network": {"connection": "DISABLED"}}}, "signOn": {}},
        "_links": {"self": {"href": format!("{url}/{id}")}, "users": {"href": format!("{url}/{id}/users")}},
    })
}
