//! Tests of rights: what they make of filters and events.

use super::*;
use crate::event::{IngestSource, Occurrence, Position, Search, Timestamp};

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn whole(org: &str) -> Grant {
    Grant { org: org.to_owned(), part: GrantedPart::Whole }
}

fn applications(org: &str, names: &[&str]) -> Grant {
    Grant { org: org.to_owned(), part: GrantedPart::Applications(list(names)) }
}

fn instances(org: &str, ids: &[&str]) -> Grant {
    Grant { org: org.to_owned(), part: GrantedPart::Instances(list(ids)) }
}

fn rights(grants: impl IntoIterator<Item = Grant>) -> Rights {
    Rights::new(Scopes::READING, Rows::granted(grants))
}

fn event(org: &str, application: &str, instance: &str) -> SyncEvent {
    let texts = [
        (EventColumn::ApplicationName, application),
        (EventColumn::InstanceId, instance),
        (EventColumn::UserId, "00u1"),
        (EventColumn::UserAlternateId, "ada@acme.example"),
        (EventColumn::UserDisplayName, "Ada"),
        (EventColumn::OutcomeReason, "Ada is known"),
        (EventColumn::DebugData, "{}"),
        (EventColumn::Message, "Sync user"),
    ];
    SyncEvent {
        position: Position::new(1),
        org: org.to_owned(),
        occurrence: Occurrence::of_type("application.provision.user.sync").with(&texts),
        received_at: Timestamp::now(),
        first_source: IngestSource::EventHook,
        details: Details::Read("{}".into()),
    }
}

#[test]
fn rights_to_everything_leave_a_filter_as_it_is() {
    let inner = Filter { orgs: Some(list(&["acme"])), ..Filter::default() };
    let filter = Filter {
        applications: Some(Vec::new()),
        not: Some(Box::new(inner.clone())),
        and: vec![inner],
        search: Search::parse("ada"),
        ..Filter::default()
    };
    let part = &raw const filter.and[0];
    for rights in [Rights::everything(), Rights::of_unlimited_reader()] {
        assert_eq!(*rights.narrow(filter.clone()), filter);
        assert!(!rights.narrow(filter.clone()).is_restricted());
    }
    // The filter is moved and not copied: statements identify its parts by their addresses.
    let narrowed = Rights::everything().narrow(filter);
    assert!(std::ptr::eq(part, narrowed.conjuncts()[1]));
}

#[test]
fn equal_rights_have_equal_texts_and_others_have_not() {
    let one = rights([instances("acme", &["b", "a"]), whole("beta"), instances("acme", &["b"])]);
    let same = rights([applications("beta", &["box"]), whole("beta"), instances("acme", &["a", "b"])]);
    assert_eq!((one.to_string(), &one), (same.to_string(), &same));
    // A filter that is kept for the next request is no part of the rights.
    let narrowed = one.narrow(Filter::default());
    assert!(Arc::ptr_eq(&narrowed.filter, &one.clone().narrow(Filter::default()).filter));
    assert_eq!((one.to_string(), &one), (same.to_string(), &same));
    let others = [
        rights([instances("acme", &["a", "b"])]),
        rights([instances("acme", &["a\", \"b"]), whole("beta")]),
        rights([applications("acme", &["a", "b"]), whole("beta")]),
        rights([]),
        Rights::new(Scopes::READING.without(Scope::Metrics), one.rows().clone()),
        Rights::everything(),
        Rights::of_unlimited_reader(),
    ];
    let texts: std::collections::BTreeSet<_> = others.iter().chain([&one]).map(Rights::to_string).collect();
    assert_eq!(texts.len(), others.len() + 1);
}

#[test]
fn one_kind_of_grants_narrows_the_lists_of_a_filter() {
    let wanted = |ids: &[&str]| Filter { application_instances: Some(list(ids)), ..Filter::default() };
    let limited = rights([instances("acme", &["a", "b"])]);
    let expected = |ids: &[&str]| Filter { orgs: Some(list(&["acme"])), ..wanted(ids) };
    assert_eq!(*limited.narrow(Filter::default()), expected(&["a", "b"]));
    assert_eq!(*limited.narrow(wanted(&["b", "c"])), expected(&["b"]));
    assert_eq!(limited.narrow(wanted(&["c"])).orgs, Some(Vec::new()), "nothing is left");
    let within = Filter { and: vec![wanted(&["a"])], ..Filter::default() };
    assert_eq!(limited.narrow(within).application_instances, Some(list(&["a"])));
    let of_org = Filter { orgs: Some(list(&["beta"])), ..Filter::default() };
    assert_eq!(limited.narrow(of_org).orgs, Some(Vec::new()));
    assert_eq!(rights([]).narrow(Filter::default()).orgs, Some(Vec::new()));
    let orgs = rights([whole("acme"), whole("beta")]).narrow(Filter::default());
    assert_eq!(*orgs, Filter { orgs: Some(list(&["acme", "beta"])), ..Filter::default() });
}

#[test]
fn grants_of_several_kinds_become_alternatives() {
    let mixed = rights([instances("acme", &["a"]), applications("acme", &["box"]), whole("beta")]);
    let narrowed = mixed.narrow(Filter::default());
    assert_eq!(narrowed.or.as_ref().map(Vec::len), Some(3));
    assert_eq!((&narrowed.orgs, &narrowed.application_instances), (&None, &None));
    // A grant in an org that the filter leaves out is no alternative.
    let wanted = Filter { orgs: Some(list(&["acme"])), or: Some(vec![Filter::default()]), ..Filter::default() };
    let narrowed = mixed.narrow(wanted);
    assert_eq!(narrowed.and[0].or.as_ref().map(Vec::len), Some(2));
    assert_eq!(narrowed.or, Some(vec![Filter::default()]));
    // Lists of one kind in several orgs have an index together.
    let of_orgs = rights([instances("acme", &["a"]), instances("beta", &["a", "b"])]).narrow(Filter::default());
    assert_eq!(of_orgs.application_instances, Some(list(&["a", "b"])));
    for (org, application, instance, is_seen) in [
        ("acme", "box", "z", true),
        ("acme", "zoom", "a", true),
        ("acme", "zoom", "z", false),
        ("beta", "zoom", "z", true),
        ("gamma", "box", "a", false),
    ] {
        let found = mixed.narrow(Filter::default()).matches(&event(org, application, instance));
        assert_eq!(found, is_seen, "{org} {application} {instance}");
    }
    assert!(!of_orgs.matches(&event("acme", "box", "b")), "the other org's instance");
}

#[test]
fn scopes_decide_which_values_are_seen() {
    let seen = |scopes: &[Scope]| {
        let rights = Rights::new(scopes.iter().copied().collect(), Rows::All);
        let mut event = event("acme", "box", "a");
        rights.mask(&mut event);
        let has = |column| event.occurrence.text(column).is_some();
        let names =
            has(EventColumn::UserAlternateId) || has(EventColumn::UserDisplayName) || has(EventColumn::OutcomeReason);
        assert!(has(EventColumn::UserId) && has(EventColumn::Message));
        let details = has(EventColumn::DebugData) || event.details != Details::NotRead;
        assert_eq!(rights.narrow(Filter::default()).matches(&event), rights.has(Scope::EventsRead));
        (names, details)
    };
    assert_eq!(seen(&Scope::ALL), (true, true));
    assert_eq!(seen(&[Scope::EventsRead, Scope::PeopleRead]), (true, false));
    assert_eq!(seen(&[Scope::EventsRead]), (false, false));
    assert_eq!(seen(&[Scope::EventsRead, Scope::EventsDetails]), (false, false), "details have every name");
    assert_eq!(seen(&[Scope::IngestionRead, Scope::PeopleRead]), (true, false));
}

#[test]
fn a_filter_tells_nothing_of_people_who_may_not_be_seen() {
    let rights = Rights::new([Scope::EventsRead].into_iter().collect(), Rows::All);
    let of = |filter: &Filter| rights.narrow(filter.clone()).matches(&event("acme", "box", "a"));
    let search = |text: &str| Filter { search: Search::parse(text), ..Filter::default() };
    let user = |user: EntityFilter| Filter { user: Some(Box::new(user)), ..Filter::default() };
    let by_name = |text: &str| user(EntityFilter { search: Search::parse(text), ..EntityFilter::default() });
    let by_login = |text: &str| user(EntityFilter { alternate_ids: Some(list(&[text])), ..EntityFilter::default() });
    let not = |filter: Filter| Filter { not: Some(Box::new(filter)), ..Filter::default() };
    assert!(of(&search("sync")) && !of(&search("ada")) && of(&not(search("ada"))));
    // Right and wrong guesses have the same result.
    for guess in [by_name("ada"), by_name("grace"), by_login("ada@acme.example"), by_login("grace")] {
        assert!(!of(&guess) && of(&not(guess.clone())), "{guess:?}");
    }
    let by_id = user(EntityFilter { ids: Some(list(&["00u1"])), ..EntityFilter::default() });
    assert!(of(&by_id));
}

#[test]
fn ingestion_is_seen_of_whole_orgs() {
    let limited = rights([whole("acme"), instances("beta", &["a"])]);
    assert!(
        limited.see_ingestion_of("acme") && !limited.see_ingestion_of("beta") && !limited.see_ingestion_of("gamma")
    );
    assert_eq!(limited.rows().whole_orgs(), Some(list(&["acme"])));
    assert_eq!(Rows::All.whole_orgs(), None);
    let without = Rights::new([Scope::EventsRead].into_iter().collect(), Rows::All);
    assert!(!without.see_ingestion_of("acme"));
}

#[test]
fn rows_among_a_few_instances_grant_the_same_of_them() {
    let rows = Rows::granted([
        instances("acme", &["0oa3", "0oa1", "0oa2"]),
        applications("acme", &["box"]),
        instances("beta", &["0oa1"]),
        whole("gamma"),
    ]);
    let among = |keys: &[(&str, &str)]| rows.among_instances(keys);
    let rest = [applications("acme", &["box"]), whole("gamma")];
    assert_eq!(among(&[]), Rows::granted(rest.clone()));
    assert_eq!(among(&[("acme", "0oa9"), ("beta", "0oa2"), ("none", "0oa1")]), Rows::granted(rest.clone()));
    let keys = [("acme", "0oa3"), ("acme", "0oa1"), ("acme", "0oa3"), ("gamma", "0oa2")];
    assert_eq!(among(&keys), Rows::granted(rest.into_iter().chain([instances("acme", &["0oa1", "0oa3"])])));
    assert_eq!(Rows::granted([instances("acme", &["0oa1"])]).among_instances(&[("beta", "0oa1")]), *Rows::nothing());
    assert_eq!(Rows::All.among_instances(&[("acme", "0oa1")]), Rows::All);
}
