//! Statistics that are printed at once, against async-graphql itself: the same bytes.

use async_graphql::{EmptyMutation, EmptySubscription, Object, Request, Schema};

use super::*;
use crate::graphql::answer::print;
use crate::graphql::answer::writer::WithoutWriter;

struct Root;

fn tally(key: Option<&str>, count: i64) -> Tally {
    let moment = Timestamp::from_millis(1_767_225_600_123);
    Tally { key: key.map(str::to_owned), label: key.map(|key| format!("\"{key}\"")), count, last_event_at: moment }
}

#[Object]
impl Root {
    async fn histogram(&self, buckets: i32) -> HistogramNode {
        let counts: Vec<_> = (0..i64::from(buckets)).collect();
        let edges = (0..=i64::from(buckets)).filter_map(|hour| Timestamp::from_millis(hour * 3_600_000)).collect();
        let series = |key: Option<&str>, is_other| HistogramSeries {
            key: key.map(str::to_owned),
            label: key.map(str::to_uppercase),
            is_other,
            counts: counts.clone(),
        };
        let series = vec![series(Some("a\u{1}"), false), series(None, false), series(None, true)];
        Histogram { edges, counts: counts.clone(), series }.into()
    }

    async fn top(&self) -> TallyConnection {
        let without_events = Tally { last_event_at: None, ..tally(Some("none"), 0) };
        let tallies = vec![tally(Some("a"), i64::MAX), tally(None, 2), without_events];
        TallyConnection::new(TallyPage { tallies, has_next: true, total: Some(7) }, false)
    }
}

/// The answer to a query, and true if one of its lists was printed at once.
fn answer(query: &str, is_resolved: bool) -> (String, bool) {
    let schema = Schema::new(Root, EmptyMutation, EmptySubscription);
    let mut request = Request::new(query);
    if is_resolved {
        request = request.data(WithoutWriter);
    }
    let response = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(schema.execute(request));
    assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
    (print::response(&response), format!("{:?}", response.data).contains("Binary"))
}

/// A selection of all fields of a type.
fn all_fields(type_name: &str) -> String {
    let schema = Schema::new(Root, EmptyMutation, EmptySubscription);
    let query = format!(
        "{{ __type(name: \"{type_name}\") {{ fields {{ name type {{ kind ofType {{ name fields {{ name }} }} }} }} }} }}"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(schema.execute(query)).data.into_json().unwrap();
    let fields = answer["__type"]["fields"].as_array().unwrap();
    let field = |field: &serde_json::Value| {
        let name = field["name"].as_str().unwrap();
        match field["type"]["ofType"] {
            ref inner if inner["fields"].is_array() => {
                format!("{name} {{ {} }}", all_fields(inner["name"].as_str().unwrap()))
            }
            _ => name.to_owned(),
        }
    };
    fields.iter().map(field).collect::<Vec<_>>().join(" ")
}

#[test]
fn printed_lists_are_as_async_graphql_resolves_them() {
    let [bucket, series, tally, edge] = ["HistogramBucket", "HistogramSeries", "Tally", "TallyEdge"].map(all_fields);
    for query in [
        format!("{{ histogram(buckets: 3) {{ buckets {{ {bucket} }} series {{ {series} }} }} }}"),
        format!("{{ top {{ nodes {{ {tally} }} edges {{ {edge} }} totalCount {{ value }} }} }}"),
        "{ histogram(buckets: 0) { buckets { count } series { __typename counts } } }".to_owned(),
        "{ top { edges { at: cursor ...E node { label } } } } \
         fragment E on TallyEdge { node { k: key __typename ... @skip(if: true) { count } ... on Tally { label } } }"
            .to_owned(),
        "{ top { nodes { key @include(if: false) label key @skip(if: false) } } }".to_owned(),
    ] {
        let (printed, is_printed) = answer(&query, false);
        let (resolved, is_printed_too) = answer(&query, true);
        assert_eq!(printed, resolved, "{query}");
        assert!(is_printed && !is_printed_too, "{query}");
    }
}
