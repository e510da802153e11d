//! Random documents, and what the model answers to them.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use crate::leaks::checks::{check_catalogue, check_events, check_nodes, check_uuid, texts_of_keys};
use crate::leaks::filters::Wanted;
use crate::leaks::readers::TestReader;
use crate::leaks::world::{APPLICATIONS, ORGS, World, WorldEvent, org_name};

/// A request, and what is to be checked of its answer.
pub(crate) struct Case {
    pub(crate) query: String,
    pub(crate) variables: Value,
    /// The scopes without which the document is refused.
    pub(crate) needs: Vec<&'static str>,
    pub(crate) kind: CaseKind,
    pub(crate) filter: Option<Wanted>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CaseKind {
    /// A page of events, and their number.
    Page,
    /// Counts by a dimension, its field in an event, and a histogram.
    Counts(&'static str, &'static str),
    /// Events by their uuids.
    Uuid(String, Option<usize>),
    /// Objects by their global ids.
    Nodes(Vec<String>),
    Catalogue,
    Ingestion,
}

/// Wraps selections in fragments at random.
struct Writer {
    definitions: Vec<String>,
}

impl Writer {
    fn on(&mut self, random: &mut StdRng, of: &str, selection: &str) -> String {
        match random.random_range(0..4) {
            0 => format!("... on {of} {{ {selection} }}"),
            1 => {
                let name = format!("F{}", self.definitions.len());
                self.definitions.push(format!("fragment {name} on {of} {{ {selection} }}"));
                format!("...{name}")
            }
            _ => selection.to_owned(),
        }
    }

    fn document(&self, operation: &str) -> String {
        format!("{operation} {}", self.definitions.join(" "))
    }
}

const EVENT: &str = "uuid org position message eventType outcome { result reason } transaction { oktaId }
    application { oktaId alternateId displayName } admin { oktaId alternateId displayName }
    u: user { oktaId alternateId displayName } applicationUser { alternateId displayName }";

const INSTANCE: &str = "receivedVia applicationInstance { org instanceId label application { org name displayName } }";

/// The dimensions, with the places of their keys in an event's JSON.
const DIMENSIONS: [(&str, &str); 8] = [
    ("APPLICATION", "/debugContext/debugData/appname"),
    ("APPLICATION", "/debugContext/debugData/appname"),
    ("APPLICATION_INSTANCE", "/target/0/id"),
    ("APPLICATION_INSTANCE", "/target/0/id"),
    ("USER", "/target/2/id"),
    ("ADMIN", "/actor/id"),
    ("OUTCOME", "/outcome/result"),
    ("EVENT_TYPE", "/eventType"),
];

/// The selection on an event, with fields that are not for every reader now and then.
fn event_selection(random: &mut StdRng, writer: &mut Writer, needs: &mut Vec<&'static str>) -> String {
    let mut selection = writer.on(random, "SyncEvent", EVENT);
    if random.random_bool(0.5) {
        selection.push(' ');
        selection.push_str(&writer.on(random, "SyncEvent", INSTANCE));
    }
    if random.random_bool(0.15) {
        needs.push("events:details");
        let more = ["raw", "d: eventDetails", "client { userAgent }", "debugContext { debugData }", "headers source"];
        let more = *more.choose(random).unwrap();
        selection.push(' ');
        selection.push_str(&writer.on(random, "SyncEvent", more));
    }
    writer.on(random, "SyncEvent", &selection)
}

impl Case {
    pub(crate) fn random(random: &mut StdRng, world: &World) -> Self {
        match random.random_range(0..13) {
            0..5 => Self::page(random, world, false),
            5..8 => Self::counts(random),
            8 => Self::uuid(random, world),
            9 | 10 => Self::nodes(random, world),
            11 => Self::catalogue(),
            _ => Self::ingestion(random),
        }
    }

    fn filtered(random: &mut StdRng) -> (Wanted, Vec<&'static str>) {
        let filter = Wanted::random(random, 2);
        let mut needs = vec!["events:read"];
        if filter.asks_for_names() {
            needs.push("people:read");
        }
        (filter, needs)
    }

    /// A page of all events in their order, or the subscription to them.
    pub(crate) fn page(random: &mut StdRng, world: &World, is_subscription: bool) -> Self {
        let (filter, mut needs) = Self::filtered(random);
        let mut writer = Writer { definitions: Vec::new() };
        let event = event_selection(random, &mut writer, &mut needs);
        let query = if is_subscription {
            let root = writer.on(
                random,
                "Subscription",
                &format!("a: syncEvents(filter: $f, from: {{after: \"0\"}}) {{ events {{ {event} }} position }}"),
            );
            writer.document(&format!("subscription ($f: SyncEventFilter) {{ {root} }}"))
        } else {
            // A cursor of an event that may not be seen is a place like any other.
            let first = &world.events[0].position;
            let cursor = if random.random_bool(0.3) { format!("after: \"p{}\", ", first - 1) } else { String::new() };
            let list = if random.random_bool(0.5) {
                format!("edges {{ cursor node {{ {event} }} }}")
            } else {
                format!("nodes {{ {event} }}")
            };
            let list = writer.on(random, "SyncEventConnection", &list);
            writer.document(&format!(
                "query ($f: SyncEventFilter) {{ a: syncEvents({cursor}filter: $f, first: 1000, orderBy: {{field: POSITION, \
                 direction: ASC}}) {{ {list} totalCount {{ value }} pageInfo {{ hasNextPage hasPreviousPage }} }} }}"
            ))
        };
        Self { query, variables: json!({"f": filter.json()}), needs, kind: CaseKind::Page, filter: Some(filter) }
    }

    fn counts(random: &mut StdRng) -> Self {
        let (filter, mut needs) = Self::filtered(random);
        let (by, place) = *DIMENSIONS.choose(random).unwrap();
        let search = match random.random_range(0..4) {
            0 => format!("perx{}x", random.random_range(0..44)),
            1 => format!("appx{}x", random.random_range(0..9)),
            2 if random.random_bool(0.5) => format!("rowx{}x", random.random_range(0..44)),
            _ => String::new(),
        };
        if !search.is_empty() && ["ADMIN", "USER"].contains(&by) {
            needs.push("people:read");
        }
        let known = random.random_bool(0.5) && by.starts_with("APPLICATION");
        let query = format!(
            "query ($f: SyncEventFilter, $t: String) {{ a: syncEvents(filter: $f, first: 0) {{ totalCount {{ value }} \
             top(by: {by}, first: 100, search: $t, known: {known}) {{ nodes {{ key label count }} totalCount {{ value }} }} \
             histogram(by: {by}, step: {{interval: MONTH}}) {{ buckets {{ count }} series {{ key label count }} }} }} }}"
        );
        let kind = CaseKind::Counts(by, place);
        Self { query, variables: json!({"f": filter.json(), "t": search}), needs, kind, filter: Some(filter) }
    }

    fn uuid(random: &mut StdRng, world: &World) -> Self {
        let uuid = world.events.choose(random).unwrap().uuid.clone();
        let org = random.random_bool(0.5).then(|| random.random_range(0..ORGS));
        let mut writer = Writer { definitions: Vec::new() };
        let mut needs = vec!["events:read"];
        let event = event_selection(random, &mut writer, &mut needs);
        let query = writer
            .document(&format!("query ($u: UUID!, $o: String) {{ a: syncEvent(uuid: $u, org: $o) {{ {event} }} }}"));
        let variables = json!({"u": uuid, "o": org.map(org_name)});
        Self { query, variables, needs, kind: CaseKind::Uuid(uuid, org), filter: None }
    }

    fn nodes(random: &mut StdRng, world: &World) -> Self {
        let id = |random: &mut StdRng| match random.random_range(0..4) {
            0 => format!("SyncEvent:{}", world.events.choose(random).unwrap().position),
            1 => format!(
                "Application:{}:{}",
                org_name(random.random_range(0..ORGS)),
                APPLICATIONS.choose(random).unwrap()
            ),
            2 => {
                let cell = world.cells.iter().filter(|cell| cell.instance.is_some()).collect::<Vec<_>>();
                let cell = cell.choose(random).unwrap();
                format!("ApplicationInstance:{}:{}", org_name(cell.org), cell.instance.as_ref().unwrap())
            }
            _ => world.rejected.choose(random).unwrap().clone(),
        };
        let ids: Vec<String> = (0..random.random_range(1..8)).map(|_| id(random)).collect();
        let (query, needs) = if random.random_bool(0.5) {
            // Without a field of their own, the objects show only whether they are there.
            ("query ($ids: [ID!]!) { a: nodes(ids: $ids) { id __typename } }".to_owned(), Vec::new())
        } else {
            let query = format!(
                "query ($ids: [ID!]!) {{ a: nodes(ids: $ids) {{ id ... on SyncEvent {{ {EVENT} }} ... on Application {{ \
                displayName instances {{ nodes {{ label }} }} syncEvents {{ nodes {{ message }} }} }} \
                ... on ApplicationInstance {{ label application {{ displayName }} syncEvents {{ totalCount {{ value }} }} }} }} }}"
            );
            (query, vec!["events:read"])
        };
        Self { query, variables: json!({"ids": ids}), needs, kind: CaseKind::Nodes(ids), filter: None }
    }

    fn catalogue() -> Self {
        let query = "{ applications(first: 40) { nodes { org name displayName eventCount instances(first: 40) { nodes { instanceId \
                     label eventCount } } } } applicationInstances(first: 1000) { nodes { org instanceId label eventCount } } \
                     b: applicationInstances(search: \"rowx\", application: \"appone\") { nodes { org instanceId } } }";
        let (query, kind) = (query.to_owned(), CaseKind::Catalogue);
        Self { query, variables: json!({}), needs: vec!["events:read"], kind, filter: None }
    }

    fn ingestion(random: &mut StdRng) -> Self {
        let raw = random.random_bool(0.5);
        let (selection, mut needs) = (if raw { "org raw reason" } else { "org reason" }, vec!["ingestion:read"]);
        if raw {
            needs.push("events:details");
        }
        let query = format!(
            "{{ ingestion {{ sources {{ org source arrived lastError {{ message }} }} rejected {{ nodes {{ {selection} }} \
            pageInfo {{ endCursor }} }} }} }}"
        );
        Self { query, variables: json!({}), needs, kind: CaseKind::Ingestion, filter: None }
    }

    /// Checks an answer that is not refused. Returns true if rights have hidden something of it.
    pub(crate) fn check(&self, world: &World, reader: &TestReader, answer: &Value) -> bool {
        let data = &answer["data"];
        match &self.kind {
            CaseKind::Page => {
                let (seen, hidden) = self.expected(world, reader);
                let list = &data["a"];
                let nodes: Vec<&Value> = match (list["nodes"].as_array(), list["edges"].as_array()) {
                    (Some(nodes), _) => nodes.iter().collect(),
                    (None, edges) => edges.unwrap().iter().map(|edge| &edge["node"]).collect(),
                };
                assert_eq!(list["totalCount"]["value"], seen.len());
                assert_eq!(list["pageInfo"], json!({"hasNextPage": false, "hasPreviousPage": false}));
                check_events(reader, &seen, &nodes);
                hidden
            }
            CaseKind::Counts(by, place) => self.check_counts(world, reader, &data["a"], by, place),
            CaseKind::Uuid(uuid, org) => check_uuid(world, reader, answer, uuid, *org),
            CaseKind::Nodes(ids) => check_nodes(world, reader, &data["a"], ids),
            CaseKind::Catalogue => check_catalogue(world, reader, data),
            CaseKind::Ingestion => {
                let orgs = |list: &Value| -> BTreeSet<String> {
                    list.as_array().unwrap().iter().map(|one| one["org"].as_str().unwrap().to_owned()).collect()
                };
                let expected: BTreeSet<_> = (0..ORGS).filter(|org| reader.sees_ingestion(*org)).map(org_name).collect();
                assert_eq!(orgs(&data["ingestion"]["sources"]), expected);
                assert_eq!(orgs(&data["ingestion"]["rejected"]["nodes"]), expected);
                expected.len() < ORGS
            }
        }
    }

    /// The events that the reader is to see, in order, and whether others match.
    pub(crate) fn expected<'w>(&self, world: &'w World, reader: &TestReader) -> (Vec<&'w WorldEvent>, bool) {
        let filter = self.filter.as_ref().unwrap();
        let names = reader.has("people:read");
        let matching = world.events.iter().filter(|event| filter.matches(event, names));
        let (seen, hidden): (Vec<_>, Vec<_>) = matching.partition(|event| reader.sees(&world.cells[event.cell]));
        (seen, !hidden.is_empty())
    }

    fn check_counts(&self, world: &World, reader: &TestReader, found: &Value, by: &str, place: &str) -> bool {
        let (seen, hidden) = self.expected(world, reader);
        assert_eq!(found["totalCount"]["value"], seen.len());
        let buckets = found["histogram"]["buckets"].as_array().unwrap();
        assert_eq!(buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), seen.len() as u64);
        let mut counts: BTreeMap<Option<String>, u64> = BTreeMap::new();
        for event in &seen {
            let key = event.raw.pointer(place).and_then(Value::as_str).map(str::to_owned);
            *counts.entry(key.filter(|key| key != "x")).or_default() += 1;
        }
        let tallies = found["top"]["nodes"].as_array().unwrap();
        let key = |tally: &Value| tally["key"].as_str().map(str::to_owned);
        let is_searched = self.variables["t"] != "";
        let is_known = self.query.contains("known: true");
        for tally in tallies {
            let count = tally["count"].as_u64().unwrap();
            assert_eq!(counts.get(&key(tally)).copied().unwrap_or(0), count, "{tally}");
            assert!(count > 0 || is_known, "{tally}");
            assert!(
                !["ADMIN", "USER"].contains(&by) || reader.has("people:read") || tally["label"].is_null(),
                "{tally}"
            );
        }
        if !is_searched && !is_known {
            assert_eq!(tallies.len(), counts.len(), "{tallies:?} {counts:?}");
        }
        if let Some(texts) = texts_of_keys(world, reader, by) {
            // A key is known by what the reader sees of the catalogue, and found by the key itself or by the names there.
            let search = self.variables["t"].as_str().unwrap_or_default();
            let is_found = |key: &str| {
                key.contains(search)
                    || texts.get(key).is_some_and(|texts| texts.iter().any(|text| text.contains(search)))
            };
            let known = texts.keys().filter(|_| is_known).chain(counts.keys().flatten());
            let all: BTreeSet<_> = known.filter(|key| is_found(key)).cloned().collect();
            let found: BTreeSet<_> = tallies.iter().filter_map(key).collect();
            let unwanted: Vec<_> = found.difference(&all).collect();
            assert!(unwanted.is_empty(), "{unwanted:?}: {tallies:?}");
            let missing = all.difference(&found).filter(|key| counts.contains_key(&Some((*key).clone())));
            assert_eq!(missing.count(), 0, "{tallies:?} {all:?}");
        }
        for series in found["histogram"]["series"].as_array().unwrap() {
            assert!(
                !["ADMIN", "USER"].contains(&by) || reader.has("people:read") || series["label"].is_null(),
                "{series}"
            );
        }
        hidden
    }
}
