//! Tests of the organisation, which must be a function of its options, and of the format of its events.

use std::collections::HashSet;

use serde_json::Value;
use time::macros::datetime;

use super::*;

const START: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);
const END: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn history(events: usize, options: OrganisationOptions) -> Vec<LogEvent> {
    Organisation::new(options).history(events, START, END)
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| -> Vec<_> {
        let options = OrganisationOptions { seed, outsiders: 0.1, ..OrganisationOptions::default() };
        history(300, options).iter().map(LogEvent::log_json).collect()
    };
    assert_eq!(story(7), story(7));
    assert!(story(7).iter().zip(&story(8)).all(|(one, other)| one != other));
}

#[test]
fn the_first_instance_is_clearly_the_most_popular() {
    let mut organisation = Organisation::new(OrganisationOptions::default());
    let events = organisation.history(4000, START, END);
    let happened_in =
        |instance: &Instance| events.iter().filter(|event| event.instance_id() == Some(&instance.id)).count();
    let first = happened_in(&organisation.instances()[0]);
    let last = happened_in(&organisation.instances()[39]);
    assert!(last > 0 && first > 10 * last, "{first} and {last}");
    // Nearly all events name an instance, which is one of the organisation's.
    let told = events.iter().filter_map(LogEvent::instance_id);
    assert!(told.filter(|id| organisation.instance(id).is_some()).count() > 3800);
}

#[test]
fn an_event_says_the_same_in_both_forms() {
    for event in history(1000, OrganisationOptions { outsiders: 0.05, ..OrganisationOptions::default() }) {
        let (log, hook) = (event.log_json(), event.hook_json());
        assert!(!hook.contains(":null"), "{hook}");
        let mut log: Value = serde_json::from_str(&log).unwrap();
        let hook: Value = serde_json::from_str(&hook).unwrap();
        assert_eq!(hook["client"]["ipChain"], without_nulls(log["request"]["ipChain"].take()));
        assert_eq!(hook["debugContext"]["debugData"]["targetEventHookIds"], *event.hook.id);
        assert_eq!(hook.get("request"), None);
        // The parts that may differ are made equal; nothing else may differ.
        let chain = hook["client"]["ipChain"].clone();
        log["client"]["ipChain"] = chain;
        log.as_object_mut().unwrap().remove("request");
        if log["debugContext"]["debugData"].is_null() {
            log["debugContext"]["debugData"] = Value::Object(serde_json::Map::new());
        }
        log["debugContext"]["debugData"]["targetEventHookIds"] = Value::from(&*event.hook.id);
        assert_eq!(without_nulls(log), hook);
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[test]
fn events_are_of_every_kind_and_size_that_okta_s_are() {
    let events = history(5000, OrganisationOptions { outsiders: 0.05, ..OrganisationOptions::default() });
    let seen = |is: &dyn Fn(&LogEvent) -> bool| events.iter().filter(|event| is(event)).count();
    assert!(seen(&|event| event.event_type == "application.provision.user.sync") > 2000);
    for kind in SYNC_FAMILY.iter().chain(OUTSIDERS) {
        assert!(seen(&|event| event.event_type == kind.name) > 0, "{}", kind.name);
    }
    assert!(seen(&|event| event.outcome.result == "FAILURE" && event.outcome.reason.is_none()) > 0);
    assert!(seen(&|event| event.outcome.reason.is_some()) > 0);
    assert!(seen(&|event| event.target.is_none()) > 0);
    assert!(seen(&|event| event.target.is_some() && event.instance_id().is_none()) > 0);
    assert!(seen(&|event| event.target("AppUser").is_some_and(|user| user.alternate_id == "unknown")) > 0);
    assert!(seen(&|event| event.application_name().is_none()) > 0);
    for appname in ["appname", "AppName"] {
        let has_key = |event: &LogEvent| {
            event.debug_context.debug_data.iter().any(|map| map.0.iter().any(|(key, _)| *key == appname))
        };
        assert!(seen(&has_key) > 0, "{appname}");
    }
    let changed = |event: &LogEvent| event.target("AppInstance").is_some_and(|target| target.change_details.is_some());
    assert!(seen(&changed) > 0);
    let mean = events[..500].iter().map(|event| event.hook_json().len()).sum::<usize>() / 500;
    assert!((1350..1650).contains(&mean), "{mean} bytes");
}

#[test]
fn a_job_has_no_client_and_a_web_request_has() {
    for event in history(500, OrganisationOptions::default()) {
        let job = event.transaction.kind == "JOB";
        assert_eq!(event.client.ip_address.is_none(), job);
        assert_eq!(event.request.ip_chain.is_empty(), job);
    }
}

#[test]
fn what_okta_keeps_from_hooks_does_not_happen_where_only_a_hook_looks() {
    let events = history(3000, OrganisationOptions { only_for_hooks: true, ..OrganisationOptions::default() });
    assert!(events.iter().all(|event| event.event_type != "application.provision.user.deactivate"));
}

#[test]
fn every_event_has_an_identity_and_a_time_of_its_own() {
    let mut organisation = Organisation::new(OrganisationOptions::default());
    let at_once: HashSet<_> = (0..20_000).map(|_| organisation.event_at(START).uuid).collect();
    assert_eq!(at_once.len(), 20_000);
    let events = organisation.history(100, START, END);
    assert!(events.is_sorted_by_key(|event| event.published));
    assert!(events.iter().all(|event| (START..END).contains(&event.published)));
}

#[test]
fn no_two_people_share_a_login() {
    let organisation = Organisation::new(OrganisationOptions { users: 3000, ..OrganisationOptions::default() });
    let logins: HashSet<_> = organisation.people().iter().map(|person| &person.login).collect();
    assert_eq!(logins.len(), 3000);
}
