//! The fuzzed front of the graph: requests up to their execution, and the texts that clients give back or make up.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::parser::types::{ExecutableDocument, SelectionSet};
use async_graphql::{InputType as _, Value};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::answer::ids::{
    NodeId, decode_cursor, decode_key, decode_rejection_cursor, decode_tally_cursor, encode_cursor, encode_key,
    encode_rejection_cursor, encode_tally_cursor,
};
use super::answer::writer::EventWriter;
use super::request::documents::DocumentOptions;
use super::request::fragments::fields;
use super::request::limits::DocumentLimits;
use super::types::filter::SyncEventFilterInput;
use super::types::orgs::OrgUrls;
use super::{Graph, GraphBody, GraphOptions, GraphRequest};
use crate::auth::{AllowedDocuments, Reader, Readers, Viewer};
use crate::event::{
    Details, Direction, EventOrderField, EventTypePattern, Filter, Grant, GrantedPart, IngestSource, PageBounds,
    PageRequest, Position, Rights, Rows, Scope, Search, SyncEvent, Tally, Timestamp,
};
use crate::live::{Live, LiveOptions};
use crate::log::Log;
use crate::okta::{instance_id_in_url, read_event};
use crate::store::conditions_of;

/// An event of Okta with everything in it.
const EVENT: &str = include_str!("../../fuzz/seeds/delivery/event.json");

/// A gateway's graph without a database, and the runtime on which it lives.
pub(crate) struct DetachedGraph {
    pub(crate) runtime: Runtime,
    pub(crate) graph: Graph,
    pub(crate) readers: Readers,
}

static DETACHED: OnceLock<Option<DetachedGraph>> = OnceLock::new();

/// Returns the graph without a database. Of its readers, `all` may read everything, and `some` a part.
pub(crate) fn detached() -> Option<&'static DetachedGraph> {
    DETACHED.get_or_init(create).as_ref()
}

fn create() -> Option<DetachedGraph> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let entered = runtime.enter();
    let log = Log::without_database();
    let live = Live::start(log.clone(), &LiveOptions::default(), CancellationToken::new());
    let options = GraphOptions {
        limits: DocumentLimits::default(),
        timeout: Duration::from_secs(30),
        introspection: true,
        documents: DocumentOptions { persisted_bytes: 1 << 20, ..DocumentOptions::default() },
        orgs: vec!["acme".to_owned(), "globex".to_owned()],
    };
    let graph = Graph::new(log, live, OrgUrls(BTreeMap::new()), options);
    drop(entered);
    let grant = Grant { org: "acme".to_owned(), part: GrantedPart::Instances(vec!["0oa1".to_owned()]) };
    let limited = Rights::new([Scope::EventsRead].into_iter().collect(), Rows::granted([grant]));
    let reader = |name: &str, rights| Reader {
        name: name.to_owned(),
        token: name.into(),
        rights: Arc::new(rights),
        documents: AllowedDocuments::Any,
    };
    let readers = Readers::with_rights(vec![reader("all", Rights::of_unlimited_reader()), reader("some", limited)]);
    Some(DetachedGraph { runtime, graph, readers })
}

/// Prepares requests: the input as a body, as parameters of a URL, and as a document, after which a line `--- variables` and
/// their JSON may stand. What is accepted has a plan that prints JSON, and what is refused has a code.
pub(crate) fn requests(input: &[u8]) {
    let Some(DetachedGraph { runtime, graph, readers }) = detached() else { return };
    let _entered = runtime.enter();
    let mut requests = match GraphBody::from_json(input, 10) {
        Ok(GraphBody::One(request)) => vec![request],
        Ok(GraphBody::Batch(requests)) => requests,
        Err(_) => Vec::new(),
    };
    let parameters = url::form_urlencoded::parse(input).into_owned().collect();
    requests.extend(GraphRequest::from_parameters(parameters));
    requests.extend(std::str::from_utf8(input).map(written));
    for request in requests {
        for token in ["all", "some"] {
            let Some(viewer) = readers.identify(token) else { return };
            prepare(graph, &request, viewer);
        }
    }
}

/// Returns the request that a text says: a document, a line `--- variables`, and JSON.
fn written(text: &str) -> GraphRequest {
    let (document, variables) = text.split_once("\n--- variables\n").unwrap_or((text, ""));
    let variables = match serde_json::from_str(variables) {
        Ok(Json::Object(variables)) => variables,
        _ => serde_json::Map::new(),
    };
    GraphRequest {
        query: Some(document.to_owned()),
        document_id: None,
        persisted_hash: None,
        operation_name: None,
        variables,
        wants_cost: true,
    }
}

fn prepare(graph: &Graph, request: &GraphRequest, viewer: Viewer) {
    match graph.operation(request.clone(), viewer) {
        Ok(operation) => {
            assert!(operation.complexity <= graph.limits().complexity as u64);
            // The second time, the document comes out of the cache.
            let again = graph.operation(request.clone(), operation.viewer().clone());
            assert_eq!(again.map(|again| again.complexity).ok(), Some(operation.complexity));
            let document = operation.document_tree();
            let Some(event) = event() else { return };
            let selections = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
            selections.for_each(|selection| print(document, selection, &event, 0));
        }
        Err(refused) => {
            let answer: Result<Json, _> = serde_json::from_str(&refused.0.json);
            let codes = answer.ok().and_then(|answer| {
                let errors = answer.get("errors")?.as_array()?.iter();
                errors
                    .map(|error| error.pointer("/extensions/code")?.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()
            });
            assert!(codes.is_some_and(|codes| !codes.is_empty()), "{}", refused.0.json);
        }
    }
}

/// Prints an event by each selection that a list of events could have.
fn print(document: &ExecutableDocument, selection: &SelectionSet, event: &SyncEvent, depth: usize) {
    if depth > 6 {
        return;
    }
    for field in fields(&document.fragments, selection, |_| true) {
        let inner = &field.selection_set.node;
        if matches!(field.name.node.as_str(), "nodes" | "node" | "edges" | "events" | "syncEvent") {
            for writer in EventWriter::each(&document.fragments, inner) {
                let mut out = String::new();
                writer.write(&mut out, event);
                let printed: Result<&RawValue, _> = serde_json::from_str(&out);
                assert!(printed.is_ok(), "{out} is not JSON");
            }
        }
        print(document, inner, event, depth + 1);
    }
}

fn event() -> Option<SyncEvent> {
    let occurrence = read_event(serde_json::from_str(EVENT).ok()?, Timestamp::now()).ok()?;
    Some(SyncEvent {
        position: Position::new(1),
        org: "acme".to_owned(),
        occurrence,
        received_at: Timestamp::now(),
        first_source: IngestSource::EventHook,
        details: Details::Read(EVENT.into()),
    })
}

/// Reads texts that clients give back or make up. What is read is printed as a text that is read as the same.
pub(crate) fn texts(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for line in text.lines().take(20) {
        ids(line);
        search(line);
    }
    if let Ok(json) = serde_json::from_str::<Json>(text) {
        filter(json);
    }
}

fn ids(text: &str) {
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse(), Ok(position));
        assert_eq!(Position::in_era(position.era_tag(), position.number_in_era()), position);
    }
    if let Some(node) = NodeId::decode(text) {
        assert_eq!(NodeId::decode(&node.encode()), Some(node));
    }
    for field in [EventOrderField::Published, EventOrderField::Position] {
        if let Some(cursor) = decode_cursor(field, text) {
            assert_eq!(decode_cursor(field, &encode_cursor(field, cursor)), Some(cursor));
            let bounds = PageBounds { after: Some(cursor), before: None };
            let page = PageRequest::new(i32::try_from(text.len()).ok(), None, bounds);
            assert!(page.is_ok_and(|page| page.direction == Direction::Forward) || text.len() > 1000);
        }
    }
    if let Some(key) = decode_key(text) {
        assert_eq!(decode_key(&encode_key(&key)), Some(key));
    }
    if let Some(found) = decode_tally_cursor(text) {
        let tally = Tally { key: found.key.clone(), count: found.count, label: None, last_event_at: None };
        assert_eq!(decode_tally_cursor(&encode_tally_cursor(&tally)), Some(found));
    }
    if let Some(id) = decode_rejection_cursor(text) {
        assert_eq!(decode_rejection_cursor(&encode_rejection_cursor(id)), Some(id));
    }
    if let Some(time) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        assert_eq!(Timestamp::from_millis(time.millis()), Some(time));
    }
    if let Some(pattern) = EventTypePattern::parse(text) {
        assert!(pattern.matches(text.trim_end_matches('*')) || text.ends_with('*'));
        assert_eq!(EventTypePattern::parse(&pattern.to_string()), Some(pattern));
    }
    if let Some(id) = instance_id_in_url(text) {
        assert!(text.contains(id) && !id.contains('/'));
    }
}

fn search(text: &str) {
    let Some(search) = Search::parse(text) else { return };
    assert!(!search.is_empty());
    let query = search.to_query(None);
    assert!(!query.contains('\0') && query.matches('\'').count() % 2 == 0, "{query}");
}

/// Reads a filter. It means the opposite of its negation, and has SQL.
fn filter(json: Json) {
    let Ok(value) = Value::from_json(json) else { return };
    let Ok(written) = SyncEventFilterInput::parse(Some(value)) else { return };
    let Ok(filter) = written.read() else { return };
    assert!(filter.parts() <= Filter::MAX_PARTS);
    let Some(event) = event() else { return };
    let negated = Filter { not: Some(Box::new(filter.clone())), ..Filter::default() };
    assert_ne!(filter.matches(&event), negated.matches(&event), "{filter:?}");
    let grant = Grant { org: "acme".to_owned(), part: GrantedPart::Whole };
    let narrow = Rights::new([Scope::EventsRead].into_iter().collect(), Rows::granted([grant]));
    for rights in [Rights::of_unlimited_reader(), narrow] {
        let narrowed = rights.narrow(filter.clone());
        assert!(filter.matches(&event) || !narrowed.matches(&event) || !rights.see_people());
        let sql = conditions_of(&narrowed);
        assert_eq!(sql.matches('(').count(), sql.matches(')').count(), "{sql}");
    }
}
