//! The writer against async-graphql itself: the same bytes for any selection and any event.

use std::sync::Arc;

use async_graphql::{EmptyMutation, EmptySubscription, Object, Request, Schema, Variables};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::WrittenEvent;
use crate::event::{
    COLUMNS, Details, EventColumn, EventTexts, GraphKind, GraphObject, IngestSource, OBJECTS, Occurrence, Position,
    SyncEvent, Timestamp,
};
use crate::graphql::answer::print;
use crate::graphql::answer::writer::WithoutWriter;
use crate::graphql::types::nodes::{Node, SyncEventNode};

/// A root whose events are given with the request.
struct Root;

#[Object]
#[expect(clippy::unused_async, reason = "what the macro makes of it is asynchronous")]
impl Root {
    async fn event(&self, context: &async_graphql::Context<'_>) -> async_graphql::Result<WrittenEvent> {
        Ok(WrittenEvent(context.data::<SyncEventNode>()?.clone()))
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[\u{0}-\u{1f}\"\\\\/\u{7f}\u{2028}é😀]{0,6}",
        Just("INFO".to_owned()),
        Just("WARN".to_owned()),
    ]
}

fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{\"a\" : [1, 2.50, \"\\u00e9\"],\n \"b\":null}".to_owned()),
        Just("{}".to_owned()),
        text().prop_map(|text| json!({ "k": text }).to_string()),
    ]
}

/// Texts as the log has them: what is never null in the graph is there wherever its object is.
fn texts() -> impl Strategy<Value = EventTexts> {
    let each = prop::collection::vec((prop::option::of(text()), json_text()), EventColumn::TEXTS);
    (each, text(), any::<u8>()).prop_map(|(each, event_type, objects)| {
        let mut texts = EventTexts::default();
        for (column, (text, json)) in EventColumn::texts().zip(each) {
            let Some(field) = column.spec().graph else { continue };
            let object = OBJECTS.iter().position(|object| object.object == field.object);
            let is_there = object.is_none_or(|number| objects & (1 << number) != 0);
            let value = match field.kind {
                GraphKind::Json => Some(json),
                GraphKind::NonNullText | GraphKind::FilledText => Some(text.unwrap_or_default()),
                _ => text,
            };
            texts.set(column, value.filter(|_| is_there));
        }
        texts.set(EventColumn::EventType, Some(event_type));
        texts
    })
}

fn event() -> impl Strategy<Value = SyncEvent> {
    let others = (text(), json_text(), 0..4_102_444_800_000_i64, 0..i64::MAX, any::<u128>());
    (texts(), others).prop_map(|(texts, (org, raw, millis, position, uuid))| {
        let moment = Timestamp::from_millis(millis).unwrap();
        SyncEvent {
            position: Position::in_era(0, position),
            org,
            occurrence: Occurrence { uuid: Uuid::from_u128(uuid), published: moment, texts },
            received_at: moment,
            first_source: IngestSource::EventHook,
            details: Details::Read(raw.into()),
        }
    })
}

/// A field, perhaps under another name, perhaps skipped.
fn dressed(field: &str, fields_key: &str, alias: u8, directive: u8) -> String {
    // An alias that depends on the field alone keeps selections that can be merged.
    let alias = if alias == 0 { format!("x{fields_key}: ") } else { String::new() };
    let directive = ["", "", " @include(if: $yes)", " @skip(if: $yes)", " @include(if: false)", " @skip(if: false)"]
        [usize::from(directive) % 6];
    match field.split_once(" {") {
        Some((name, inner)) => format!("{alias}{name}{directive} {{{inner}"),
        None => format!("{alias}{field}{directive}"),
    }
}

fn leaf(fields: Vec<&'static str>) -> impl Strategy<Value = String> {
    (prop::sample::select(fields), 0..4_u8, any::<u8>())
        .prop_map(|(field, alias, directive)| dressed(field, field, alias, directive))
}

/// A selection on a type: its fields, alone and in fragments that may be nested.
fn selection(
    type_name: &'static str,
    fields: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    let flat = prop::collection::vec(fields.clone(), 1..4).prop_map(|fields| fields.join(" "));
    let nested = flat.prop_recursive(2, 12, 3, move |inner| {
        let fragment = (inner, 0..2_u8).prop_map(move |(inner, named)| {
            if named == 0 { format!("... on {type_name} {{ {inner} }}") } else { format!("... {{ {inner} }}") }
        });
        prop::collection::vec(prop_oneof![fields.clone(), fragment], 1..4).prop_map(|items| items.join(" "))
    });
    nested.boxed()
}

/// The fields of an object that have the values of columns, and others.
fn fields_of(object: GraphObject, others: &[&'static str]) -> Vec<&'static str> {
    let fields = COLUMNS.iter().filter_map(|spec| spec.graph).filter(|field| field.object == object);
    fields.map(|field| field.name).chain(others.iter().copied()).collect()
}

fn event_field() -> impl Strategy<Value = String> + Clone {
    let scalars = leaf(fields_of(GraphObject::Event, &["id", "raw", "__typename"])).boxed();
    let objects = OBJECTS.iter().map(|object| {
        let fields = leaf(fields_of(object.object, &["__typename"])).boxed();
        let inner = (selection(object.type_name, fields), 0..4_u8, any::<u8>());
        let dressed = inner.prop_map(|(inner, alias, directive)| {
            dressed(&format!("{} {{ {inner} }}", object.field), object.field, alias, directive)
        });
        (1, dressed.boxed())
    });
    prop::strategy::Union::new_weighted(std::iter::once((6, scalars)).chain(objects).collect()).boxed()
}

fn answer(query: &str, event: &SyncEvent, is_resolved: bool) -> String {
    let schema = Schema::build(Root, EmptyMutation, EmptySubscription).register_output_type::<Node>().finish();
    let mut request = Request::new(query)
        .variables(Variables::from_json(json!({"yes": true})))
        .data(SyncEventNode(Arc::new(event.clone())));
    if is_resolved {
        request = request.data(WithoutWriter);
    }
    let response = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(schema.execute(request));
    assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
    let async_graphql::Value::Object(data) = &response.data else { panic!("{query}") };
    let is_written = matches!(data.get("event"), Some(async_graphql::Value::Binary(_)));
    assert_eq!(is_written, !is_resolved, "{query}");
    print::response(&response)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_what_would_be_resolved(
        selection in selection("SyncEvent", event_field()),
        fragment in selection("SyncEvent", event_field()),
        event in event(),
    ) {
        let query = format!(
            "query ($yes: Boolean!) {{ event @include(if: $yes) {{ {selection} ...F ... on Node {{ id }} }} }} \
             fragment F on SyncEvent {{ {fragment} }}"
        );
        prop_assert_eq!(answer(&query, &event, false), answer(&query, &event, true), "{}", query);
    }
}
