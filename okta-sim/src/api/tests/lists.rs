//! Tests of the pages of the System Log and of the applications.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;

use super::*;

fn text(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap()
}

/// Returns the uuids in the order of the log.
fn persisted(sim: &Sim) -> Vec<String> {
    sim.api.log().entries().iter().map(|entry| entry.uuid.to_string()).collect()
}

#[tokio::test]
async fn polling_goes_through_the_log_in_the_order_of_persistence_and_its_link_is_always_there() {
    for joined_links in [false, true] {
        let mut sim = Sim::start(ApiOptions { joined_links, ..ApiOptions::default() }).await;
        sim.happen(25);
        let mut told = sim.logs(&[("limit", "10"), ("sortOrder", "ASCENDING")]).await;
        assert_eq!(told.headers.get_all("link").iter().count(), if joined_links { 1 } else { 2 });
        assert!(told.link("self").is_some());
        let mut read = told.uuids();
        for size in [10, 5, 0, 0] {
            told = sim.get(told.link("next").unwrap()).await;
            assert_eq!(told.uuids().len(), size);
            read.extend(told.uuids());
        }
        // A late event happened long before the others and is persisted after them.
        let late = sim.organisation.event_at(OffsetDateTime::now_utc() - time::Duration::minutes(20));
        sim.api.log().record(&late);
        told = sim.get(told.link("next").unwrap()).await;
        assert_eq!(told.uuids(), [late.uuid.to_string()]);
        read.extend(told.uuids());
        assert_eq!(read, persisted(&sim));
        assert_eq!(sim.api.requests().len(), 6);
    }
}

#[tokio::test]
async fn since_is_about_persistence_when_polling_and_about_the_event_when_bounded() {
    let mut sim = Sim::start(ApiOptions::default()).await;
    let now = OffsetDateTime::now_utc();
    let before = now - time::Duration::minutes(20);
    let late = sim.organisation.event_at(before);
    sim.api.log().record(&late);
    let (since, until) = (text(now - time::Duration::minutes(1)), text(now + time::Duration::minutes(1)));
    assert_eq!(sim.logs(&[("since", &since)]).await.uuids().len(), 1);
    assert_eq!(sim.logs(&[("since", &since), ("until", &until)]).await.uuids().len(), 0);
    let since = text(before - time::Duration::minutes(1));
    assert_eq!(sim.logs(&[("since", &since), ("until", &until)]).await.uuids().len(), 1);
    let delayed = ApiOptions { bounded_delay: Duration::from_mins(1), ..ApiOptions::default() };
    let mut sim = Sim::start(delayed).await;
    sim.happen(3);
    assert_eq!(sim.logs(&[("since", &since)]).await.uuids().len(), 3);
    assert_eq!(sim.logs(&[("since", &since), ("until", &until)]).await.uuids().len(), 0);
}

#[tokio::test]
async fn a_bounded_answer_is_in_the_order_of_time_and_ends() {
    let mut sim = Sim::start(ApiOptions::default()).await;
    let now = OffsetDateTime::now_utc();
    for minutes in [5, 1, 4, 2, 3] {
        let event = sim.organisation.event_at(now - time::Duration::minutes(minutes));
        sim.api.log().record(&event);
    }
    let (since, until) = (text(now - time::Duration::seconds(270)), text(now));
    let whole = sim.logs(&[("since", &since), ("until", &until)]).await;
    let times: Vec<_> = whole.body.as_array().unwrap().iter().map(|event| event["published"].to_string()).collect();
    assert!(times.len() == 4 && times.is_sorted(), "{times:?}");
    assert_eq!(whole.link("next"), None);
    for order in ["ASCENDING", "DESCENDING"] {
        let mut told = sim.logs(&[("since", &since), ("until", &until), ("limit", "3"), ("sortOrder", order)]).await;
        let mut read = told.uuids();
        told = sim.get(told.link("next").unwrap()).await;
        read.extend(told.uuids());
        assert_eq!(told.link("next"), None);
        if order == "DESCENDING" {
            read.reverse();
        }
        assert_eq!(read, whole.uuids());
    }
}

#[tokio::test]
async fn a_filter_picks_types_and_pages_are_full_of_what_it_picks() {
    let mut sim = Sim::start(ApiOptions::default()).await;
    sim.happen(300);
    let filter = r#"eventType eq "application.provision.user.sync" or eventType sw "user.""#;
    let told = sim.logs(&[("filter", filter), ("limit", "50")]).await;
    let types: Vec<_> =
        told.body.as_array().unwrap().iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!(types.len(), 50);
    assert!(types.iter().all(|name| *name == "application.provision.user.sync" || name.starts_with("user.")));
    let target = &sim.organisation.instances()[0].id;
    let told = sim.logs(&[("filter", &format!("target.id eq \"{target}\""))]).await;
    assert!(!told.uuids().is_empty());
    assert!(told.body.as_array().unwrap().iter().all(|event| event["target"].to_string().contains(target)));
}

#[tokio::test]
async fn what_okta_does_not_keep_is_not_there() {
    let mut sim = Sim::start(ApiOptions::default()).await;
    let now = OffsetDateTime::now_utc();
    for days in [120, 91, 89] {
        let published = now - time::Duration::days(days);
        let event = sim.organisation.event_at(published);
        sim.api.log().record_at(&event, published);
    }
    let told = sim.logs(&[("since", &text(now - time::Duration::days(150)))]).await;
    assert_eq!(told.uuids().len(), 1);
}

#[tokio::test]
async fn a_question_that_breaks_a_rule_is_refused_with_the_rule() {
    let mut sim = Sim::start(ApiOptions::default()).await;
    sim.happen(3);
    let old = text(OffsetDateTime::now_utc() - time::Duration::days(181));
    for (name, value, rule) in [
        ("since", old.as_str(), "at most 180 days ago"),
        ("since", "yesterday", "ISO 8601"),
        ("until", "2026-13-01T00:00:00Z", "ISO 8601"),
        ("until", "2026-01-01T00:00:00Z", "must not be before since"),
        ("sortOrder", "UP", "ASCENDING or DESCENDING"),
        ("limit", "1001", "between 0 and 1000"),
        ("limit", "-1", "between 0 and 1000"),
        ("filter", "published gt \"2026-01-01T00:00:00Z\"", "`published` cannot be filtered on"),
        ("after", "1", "never made"),
    ] {
        let mut parameters = vec![(name, value)];
        if name == "until" {
            parameters.push(("since", "2026-11-01T00:00:00Z"));
        }
        sim.logs(&parameters).await.assert_refused(400, rule);
    }
    // The token of a link is valid for its own query only, and for a limited time.
    let link = sim.logs(&[("limit", "1")]).await.link("next").unwrap();
    let token = link.query_pairs().find(|(name, _)| name == "after").unwrap().1.into_owned();
    sim.logs(&[("limit", "2"), ("after", &token)]).await.assert_refused(400, "followed as it is");
    assert_eq!(sim.get(link.clone()).await.uuids().len(), 1);
    sim.api.expire_links();
    sim.get(link).await.assert_refused(400, "has expired");
    let short = ApiOptions { link_lifetime: Some(Duration::from_millis(50)), ..ApiOptions::default() };
    let sim = Sim::start(short).await;
    let link = sim.logs(&[]).await.link("next").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    sim.get(link).await.assert_refused(400, "has expired");
    sim.get(sim.url("/api/v1/log", &[])).await.assert_refused(404, "no such resource");
    let posted = sim.client.post(sim.url("/api/v1/logs", &[])).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

#[tokio::test]
async fn applications_come_in_pages_and_inactive_ones_on_demand() {
    let sim = Sim::start(ApiOptions::default()).await;
    let records = sim.api.apps().records();
    sim.api.apps().change(&records[1].id, |record| record.status = AppStatus::Inactive);
    sim.api.apps().change(&records[2].id, |record| record.label = "Renamed".to_owned());
    sim.api.apps().delete(&records[3].id);
    for (all, expected) in [("true", 39), ("false", 38)] {
        let mut told = sim.get(sim.url("/api/v1/apps", &[("limit", "15"), ("includeNonDeleted", all)])).await;
        let mut found = told.body.as_array().unwrap().clone();
        while let Some(next) = told.link("next") {
            told = sim.get(next).await;
            found.extend(told.body.as_array().unwrap().clone());
        }
        assert_eq!(found.len(), expected);
        let of = |id: &str| found.iter().find(|app| app["id"] == id);
        assert_eq!(of(&records[0].id).unwrap()["name"], records[0].name);
        assert_eq!(of(&records[2].id).unwrap()["label"], "Renamed");
        assert!(of(&records[3].id).is_none());
        assert_eq!(of(&records[1].id).map(|app| app["status"].clone()), (all == "true").then(|| "INACTIVE".into()));
    }
    for (name, value, rule) in
        [("limit", "201", "at most 200"), ("includeNonDeleted", "yes", "true or false"), ("after", "x", "never made")]
    {
        sim.get(sim.url("/api/v1/apps", &[(name, value)])).await.assert_refused(400, rule);
    }
}
