//! The catalogue as the Apps API lists it, beside what events tell.

use okta_sim::{AppRecord, AppStatus, Fault, Scope, ServiceApp};
use serde_json::{Value, json};
use sluice::okta::{ClientKey, Credentials};
use time::OffsetDateTime;

use crate::events::sync_event;
use crate::gateway::Gateway;
use crate::okta_org::{OktaOrg, wait_until};

async fn instance(gateway: &Gateway, id: &str) -> Value {
    let query = "query ($id: String!) { applicationInstance(by: {instanceId: $id}) { label status eventCount application { name } } }";
    gateway.query_with(query, json!({"id": id})).await["applicationInstance"].clone()
}

async fn count(gateway: &Gateway, status: &'static str) -> i64 {
    let query = "SELECT count(*) FROM application_instance WHERE status = $1";
    sqlx::query_scalar(query).bind(status).fetch_one(&gateway.database.pool).await.unwrap()
}

/// So many things happen that somewhere among them an application is updated.
fn change_something(org: &mut OktaOrg) {
    while org.happen_at(OffsetDateTime::now_utc()).event_type != "application.lifecycle.update" {}
}

#[tokio::test]
async fn every_instance_is_listed_with_its_label_and_status() {
    let mut org = OktaOrg::start().await;
    let records = org.api.apps().records();
    org.api.apps().change(&records[1].id, |record| record.status = AppStatus::Inactive);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    wait_until("the list", async || count(&gateway, "ACTIVE").await == 39).await;
    let first = &records[0];
    let expected =
        json!({"label": first.label, "status": "ACTIVE", "eventCount": 0, "application": {"name": first.name}});
    assert_eq!(instance(&gateway, &first.id).await, expected);
    assert_eq!(instance(&gateway, &records[1].id).await["status"], "INACTIVE");

    // What changes is found when an event tells of it; what is deleted stays.
    org.api.apps().change(&first.id, |record| record.label = "Renamed by nobody".to_owned());
    org.api.apps().delete(&records[2].id);
    change_something(&mut org);
    wait_until("the deletion", async || count(&gateway, "DELETED").await == 1).await;
    let deleted = instance(&gateway, &records[2].id).await;
    assert_eq!((&deleted["status"], &deleted["label"]), (&json!("DELETED"), &json!(records[2].label)));
    let renamed = instance(&gateway, &first.id).await;
    assert_eq!(renamed["label"], "Renamed by nobody");
    let pages = org.api.requests().into_iter().filter(|request| request.path == "/api/v1/apps");
    assert!(
        pages.clone().all(|page| page.query.contains("includeNonDeleted=true") && page.query.contains("limit=200"))
    );
}

/// Starts a gateway that stores an event of the first listed instance, with this debug data, before it reads the list.
async fn with_an_event_before_the_list(debug_data: Value) -> (OktaOrg, Gateway, AppRecord) {
    let org = OktaOrg::start().await;
    org.api.fail_apps(Fault::Status(503), 2);
    let record = org.api.apps().records()[0].clone();
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    let mut event = sync_event("x");
    event["target"][0]["id"] = record.id.clone().into();
    event["debugContext"] = json!({ "debugData": debug_data });
    gateway.deliver(&[event]).await;
    (org, gateway, record)
}

#[tokio::test]
async fn events_that_came_first_find_their_application() {
    let (_org, gateway, record) = with_an_event_before_the_list(json!({})).await;
    let filter = json!({"filter": {"applications": [record.name]}});
    let query = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter) { nodes { position } } }";
    wait_until("the name", async || {
        let found = gateway.query_with(query, filter.clone()).await;
        found["syncEvents"]["nodes"] == json!([{"position": "1"}])
    })
    .await;
    assert_eq!(instance(&gateway, &record.id).await["eventCount"], 1);
    // Gateways of other tests may count failures, too.
    let metrics = gateway.client.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = metrics.lines().find_map(|line| line.strip_prefix("sluice_catalogue_failures_total{org=\"acme\"} "));
    assert!(counted.unwrap().parse::<u64>().unwrap() >= 2, "{counted:?}");
}

/// An event can name any application. The list corrects it, since grants by application rely on the name.
#[tokio::test]
async fn the_list_corrects_what_an_event_called_the_application() {
    let (_org, gateway, record) = with_an_event_before_the_list(json!({"appname": "another_application"})).await;
    let name = async || instance(&gateway, &record.id).await["application"]["name"].clone();
    wait_until("the name", async || name().await == json!(record.name)).await;
}

#[tokio::test]
async fn a_label_that_an_event_told_later_than_the_list_stays() {
    let org = OktaOrg::start().await;
    let record = org.api.apps().records()[0].clone();
    let gateway = Gateway::start().await;
    let mut event = sync_event("x");
    event["target"][0]["id"] = record.id.clone().into();
    gateway.deliver(&[event]).await;
    let catalogue = gateway.database.store().catalogue();
    let listing = sluice::catalogue::InstanceListing {
        instance_id: record.id.clone(),
        application: Some("other".to_owned()),
        label: Some("Listed".to_owned()),
        status: Some("ACTIVE".to_owned()),
    };
    let at = |text: &str| sluice::event::Timestamp::parse(text).unwrap();
    catalogue.keep_listed("acme", std::slice::from_ref(&listing), at("2026-03-04T05:06:07Z")).await.unwrap();
    let found = instance(&gateway, &record.id).await;
    assert_eq!(found["label"], "Label x");
    // The application is the list's, whatever the event called it.
    assert_eq!((&found["status"], &found["application"]["name"]), (&json!("ACTIVE"), &json!("other")));
    catalogue.keep_listed("acme", &[listing], at("2026-03-04T05:06:08Z")).await.unwrap();
    assert_eq!(instance(&gateway, &record.id).await["label"], "Listed");
}

#[tokio::test]
async fn without_the_scope_events_tell_of_applications() {
    let (mut app, pem) = ServiceApp::with_new_key("0oaclient").unwrap();
    app.scopes = vec![Scope::ReadLogs];
    let mut org = OktaOrg::start_with(|options| options.service_apps = vec![app]).await;
    org.happen(50);
    let key = Credentials::Key(ClientKey::read("0oaclient", None, &pem.into()).unwrap());
    let gateway = Gateway::start_with(|settings| org.read_with(settings, key)).await;
    org.wait_for(&gateway.database.pool, 50).await;
    wait_until("a refusal", async || {
        org.api.requests().iter().any(|request| request.path == "/api/v1/apps" && request.status == 403)
    })
    .await;
    let found = gateway.query("{ applicationInstances { nodes { status application { name } } } }").await;
    let nodes = found["applicationInstances"]["nodes"].as_array().unwrap();
    assert!(nodes.len() > 5 && nodes.iter().all(|node| node["status"].is_null()), "{nodes:?}");
    assert_eq!(gateway.database.store().ledger().poll_cursor("acme").await.unwrap().unwrap().last_error, None);
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let org = OktaOrg::start_with_instances(450).await;
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    wait_until("the list", async || count(&gateway, "ACTIVE").await == 450).await;
    let last = org.api.apps().records()[449].clone();
    org.api.apps().delete(&last.id);
    // Those of later pages are not taken for deleted.
    let lists = || org.api.requests().iter().filter(|request| request.path == "/api/v1/apps").count();
    assert_eq!(lists(), 3);
    let mut org = org;
    change_something(&mut org);
    wait_until("the deletion", async || count(&gateway, "DELETED").await == 1).await;
    assert_eq!(
        (count(&gateway, "ACTIVE").await, instance(&gateway, &last.id).await["status"].clone()),
        (449, json!("DELETED"))
    );
}
