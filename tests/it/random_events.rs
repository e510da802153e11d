//! Random events and random filters, which choose some of them and not others.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value, json};

use crate::events::sync_event;

const NAMES: [&str; 6] = ["Ada Lovelace", "GRACE Hopper", "Grace O'Neil", "Ünal Öz", "ß & Co", ""];
const ADDRESSES: [&str; 6] =
    ["ada@acme.example", "Grace@Acme.example", "grace@acme.example", "unknown", "Ada", "ÖZ@x.example"];
const IDS: [&str; 4] = ["00uone", "00uTWO", "00utwo", "Some@where"];
const TYPES: [&str; 5] = [
    "application.provision.user.sync",
    "application.provision.user.push",
    "application.user_membership.add",
    "application.user_membership.remove",
    "application.lifecycle.update",
];
const OUTCOMES: [&str; 4] = ["SUCCESS", "FAILURE", "SKIPPED", "success"];
const TRANSACTIONS: [&str; 3] = ["trs-one", "trs-TWO", "trs-two"];
const WORDS: [&str; 10] = ["ada", "gr*", "GRACE", "acme.example", "ünal", "o'neil", "sync*", "user", "oz", "ÖZ"];

fn some(random: &mut StdRng, values: &[&str]) -> Vec<String> {
    let number = random.random_range(0..=3.min(values.len()));
    values.sample(random, number).map(|value| (*value).to_owned()).collect()
}

fn one<'v>(random: &mut StdRng, values: &[&'v str]) -> &'v str {
    values.choose(random).unwrap()
}

fn moment(random: &mut StdRng) -> String {
    format!(
        "2025-{:02}-{:02}T00:00:0{}Z",
        random.random_range(1..=6),
        random.random_range(1..=28),
        random.random_range(0..2)
    )
}

/// An event of which anything may be missing, out of few values.
pub(crate) fn random_event(random: &mut StdRng) -> Value {
    let mut event = sync_event(one(random, &["one", "two", "three"]));
    event["published"] = moment(random).into();
    event["eventType"] = one(random, &TYPES).into();
    event["severity"] = one(random, &["INFO", "WARN", "ERROR", "DEBUG", "odd"]).into();
    event["outcome"]["result"] = one(random, &OUTCOMES).into();
    event["debugContext"]["debugData"]["appname"] = one(random, &["office365", "slack"]).into();
    event["transaction"] = json!({"id": one(random, &TRANSACTIONS), "type": "JOB"});
    let people = ["/actor", "/target/1", "/target/2"];
    for person in people {
        let person = event.pointer_mut(person).unwrap();
        person["id"] = one(random, &IDS).into();
        person["alternateId"] = one(random, &ADDRESSES).into();
        person["displayName"] = one(random, &NAMES).into();
    }
    event["actor"]["type"] = one(random, &["User", "SystemPrincipal"]).into();
    // What is missing matches nothing, and not what is negated.
    for (place, odds) in
        [("/actor", 0.1), ("/outcome", 0.2), ("/severity", 0.1), ("/displayMessage", 0.3), ("/transaction", 0.1)]
    {
        if random.random_bool(odds) {
            *event.pointer_mut(place).unwrap() = Value::Null;
        }
    }
    for target in 0..3 {
        if random.random_bool(0.15) {
            event["target"][target] = json!({"type": "Other", "id": "x"});
        }
    }
    event
}

fn person(random: &mut StdRng) -> Value {
    let mut filter = Map::new();
    for _ in 0..random.random_range(1..=2) {
        match random.random_range(0..4) {
            0 => filter.insert("oktaIds".into(), some(random, &IDS).into()),
            1 => filter.insert(
                "alternateIds".into(),
                some(random, &["ADA@ACME.EXAMPLE", "grace@acme.example", "ada", "Ada"]).into(),
            ),
            2 => filter.insert("types".into(), some(random, &["User", "AppUser", "SystemPrincipal"]).into()),
            _ => filter.insert("search".into(), one(random, &WORDS).into()),
        };
    }
    filter.into()
}

/// A filter on such events, of parts nested so deep at most.
pub(crate) fn random_filter(random: &mut StdRng, depth: usize) -> Value {
    let mut filter = Map::new();
    for _ in 0..random.random_range(1..=2) {
        let families = ["application.provision.*", "application.user_membership.add", "application.*", "*", "none.*"];
        let kinds = if depth > 0 { 16 } else { 13 };
        let (field, value): (&str, Value) = match random.random_range(0..kinds) {
            0 => ("orgs", some(random, &["acme", "other"]).into()),
            1 => ("applications", some(random, &["office365", "slack", "none"]).into()),
            2 => ("applicationInstances", some(random, &["0oaone", "0oatwo", "0oanone"]).into()),
            3 => ("eventTypes", some(random, &families).into()),
            4 => ("published", json!({"from": moment(random)})),
            5 => ("receivedAt", json!({"until": "2300-01-01T00:00:00Z"})),
            6 => ("outcomes", some(random, &OUTCOMES).into()),
            7 => ("severities", some(random, &["INFO", "WARN", "ERROR"]).into()),
            8 => ("firstReceivedVia", some(random, &["EVENT_HOOK", "IMPORT"]).into()),
            9 => ("search", format!("{} {}", one(random, &WORDS), one(random, &["", "user", "0oa*"])).into()),
            10 | 11 => (one(random, &["admin", "user", "applicationUser"]), person(random)),
            12 => ("transactions", some(random, &TRANSACTIONS).into()),
            13 => ("not", random_filter(random, depth - 1)),
            14 => ("and", (0..random.random_range(0..3)).map(|_| random_filter(random, depth - 1)).collect()),
            _ => ("or", (0..random.random_range(0..3)).map(|_| random_filter(random, depth - 1)).collect()),
        };
        filter.insert(field.into(), value);
    }
    filter.into()
}
