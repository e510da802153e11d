//! Documents that clients need not send: persisted by Apollo's protocol, and trusted ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sluice::auth::{AllowedDocuments, Reader, Readers};
use sluice::config::Settings;
use sluice::event::Rights;

use crate::gateway::Gateway;
use crate::socket::{Socket, handshake};

fn hash(document: &str) -> String {
    Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// A request by hash, with the document or without.
fn persisted(document: &str, is_sent: bool) -> Value {
    let mut request = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash(document)}}});
    if is_sent {
        request["query"] = json!(document);
    }
    request
}

/// The status, and the answer; for errors the code of the first in place of it.
async fn asked(gateway: &Gateway, request: &Value) -> (u16, Value) {
    let newer = "application/graphql-response+json";
    let request = gateway.client.post(gateway.url("/graphql")).header("accept", newer).json(request);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    let code = answer.pointer("/errors/0/extensions/code").cloned();
    (status, code.unwrap_or_else(|| answer["data"].clone()))
}

const DOCUMENT: &str = "query Head { ingestion { head } }";
const OTHER: &str = "{ __typename }";

#[tokio::test]
async fn a_document_is_sent_once_and_known_by_its_hash() {
    let gateway = Gateway::start().await;
    let not_found = (200, json!("PERSISTED_QUERY_NOT_FOUND"));
    assert_eq!(asked(&gateway, &persisted(DOCUMENT, false)).await, not_found);
    let answer = gateway.post_graphql(persisted(DOCUMENT, false).to_string()).await.json::<Value>().await.unwrap();
    assert_eq!(answer["errors"][0]["message"], "PersistedQueryNotFound", "clients know it by its words");
    for is_sent in [true, false, true, false] {
        let data = json!({"ingestion": {"head": "0"}});
        assert_eq!(asked(&gateway, &persisted(DOCUMENT, is_sent)).await, (200, data));
    }
    // Over GET, as Apollo Client does it, and over a WebSocket.
    let mut url = reqwest::Url::parse(&gateway.url("/graphql")).unwrap();
    url.query_pairs_mut().append_pair("extensions", &persisted(DOCUMENT, false)["extensions"].to_string());
    let answer: Value = gateway.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"data": {"ingestion": {"head": "0"}}}));
    let mut socket = gateway.socket().await;
    socket.send(json!({"type": "subscribe", "id": "1", "payload": persisted(DOCUMENT, false)})).await;
    assert_eq!(socket.message().await["payload"]["data"]["ingestion"]["head"], "0");
    assert_eq!(socket.message().await["type"], "complete");
    socket.send(json!({"type": "subscribe", "id": "2", "payload": persisted(OTHER, false)})).await;
    let error = socket.message().await;
    assert_eq!((&error["type"], &error["payload"][0]["message"]), (&json!("error"), &json!("PersistedQueryNotFound")));

    let mut wrong = persisted(DOCUMENT, true);
    wrong["query"] = json!(OTHER);
    assert_eq!(asked(&gateway, &wrong).await, (400, json!("PERSISTED_QUERY_HASH_MISMATCH")));
    for (broken, code) in
        [("{", "GRAPHQL_PARSE_FAILED"), ("{ ...F } fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED")]
    {
        assert_eq!(asked(&gateway, &persisted(broken, true)).await, (400, json!(code)));
        assert_eq!(asked(&gateway, &persisted(broken, false)).await, not_found, "what cannot be executed is not kept");
    }
    let version = json!({"extensions": {"persistedQuery": {"version": 2, "sha256Hash": hash(DOCUMENT)}}});
    assert_eq!(asked(&gateway, &version).await, (400, json!("BAD_REQUEST")));
}

#[tokio::test]
async fn persisted_documents_are_bounded_and_can_be_off() {
    let gateway = Gateway::start_with(|settings| settings.limits.persisted_bytes = 3_000).await;
    let documents: Vec<_> = (0..20).map(|number| format!("{{ a{number}: __typename }}")).collect();
    for document in &documents {
        assert_eq!(asked(&gateway, &persisted(document, true)).await.0, 200);
    }
    assert_eq!(asked(&gateway, &persisted(&documents[0], false)).await.1, "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(asked(&gateway, &persisted(&documents[19], false)).await.1, json!({"a19": "Query"}));

    let off = Gateway::start_with(|settings| settings.limits.persisted_bytes = 0).await;
    let (status, code) = asked(&off, &persisted(DOCUMENT, false)).await;
    assert_eq!((status, code), (200, json!("PERSISTED_QUERY_NOT_SUPPORTED")));
    assert_eq!(asked(&off, &persisted(DOCUMENT, true)).await.0, 200, "with its document it is just a request");
}

fn trusting(settings: &mut Settings) {
    let watch = "subscription Watch { syncEvents { events { position } } }".to_owned();
    let trusted =
        [("head".to_owned(), DOCUMENT.to_owned()), (hash(OTHER), OTHER.to_owned()), ("watch".to_owned(), watch)];
    settings.graphql.trusted_documents = BTreeMap::from(trusted);
}

#[tokio::test]
async fn trusted_documents_are_known_by_their_ids() {
    let gateway = Gateway::start_with(trusting).await;
    let head = json!({"ingestion": {"head": "0"}});
    assert_eq!(asked(&gateway, &json!({"documentId": "head"})).await, (200, head.clone()));
    assert_eq!(asked(&gateway, &json!({"documentId": format!("sha256:{}", hash(OTHER))})).await.0, 200);
    assert_eq!(asked(&gateway, &persisted(OTHER, false)).await, (200, json!({"__typename": "Query"})));
    let answer = gateway.client.get(gateway.url("/graphql?documentId=head")).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"data": head}));
    assert_eq!(asked(&gateway, &json!({"documentId": "none"})).await, (400, json!("DOCUMENT_NOT_FOUND")));
    let both = json!({"documentId": "head", "query": DOCUMENT});
    assert_eq!(asked(&gateway, &both).await, (400, json!("BAD_REQUEST")));
    assert_eq!(asked(&gateway, &json!({"query": "{ a: __typename }"})).await.0, 200, "others are executed, too");
}

#[tokio::test]
async fn where_only_trusted_documents_are_executed_no_other_is() {
    let gateway = Gateway::start_with(|settings| {
        trusting(settings);
        settings.graphql.trusted_only = true;
    })
    .await;
    for trusted in
        [json!({"documentId": "head"}), json!({"query": DOCUMENT}), persisted(OTHER, false), persisted(OTHER, true)]
    {
        assert_eq!(asked(&gateway, &trusted).await.0, 200, "{trusted}");
    }
    for other in [
        json!({"query": format!("{DOCUMENT} ")}),
        json!({"query": "{ __schema { queryType { name } } }"}),
        json!({"query": "{"}),
        persisted(DOCUMENT, false),
        persisted("{ a: __typename }", true),
        persisted("{ a: __typename }", false),
    ] {
        assert_eq!(asked(&gateway, &other).await, (400, json!("DOCUMENT_NOT_TRUSTED")), "{other}");
    }
    let mut socket = gateway.socket().await;
    socket.subscribe("1", "subscription { syncEvents { events { uuid } } }", json!({})).await;
    assert_eq!(socket.message().await["payload"][0]["extensions"]["code"], "DOCUMENT_NOT_TRUSTED");
    socket.send(json!({"type": "subscribe", "id": "2", "payload": {"documentId": "watch"}})).await;
    assert_eq!(socket.batch("2").await, json!({"events": []}));
    gateway.deliver(&crate::events::sync_events("one", 1)).await;
    assert_eq!(socket.event("2").await, json!({"position": "1"}));
}

/// A reader, and the request of a client that sends its token.
fn reader(name: &str, documents: AllowedDocuments) -> Reader {
    let rights = Arc::new(Rights::of_unlimited_reader());
    Reader { name: name.to_owned(), token: format!("the token of {name}").into(), rights, documents }
}

#[tokio::test]
async fn a_reader_of_trusted_documents_may_send_no_others_by_any_protocol() {
    let gateway = Gateway::start_with(|settings| {
        trusting(settings);
        let (page, auditor) = (AllowedDocuments::Trusted, AllowedDocuments::Any);
        settings.readers = Readers::with_rights(vec![reader("page", page), reader("auditor", auditor)]);
    })
    .await;
    let post = async |name: &str, request: &Value| {
        let request = gateway.client.post(gateway.url("/graphql")).json(request);
        let request = request.bearer_auth(format!("the token of {name}"));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer.pointer("/errors/0/extensions/code").cloned().unwrap_or_default()
    };
    let not_trusted = json!("DOCUMENT_NOT_TRUSTED");
    let other = "{ a: __typename }";
    assert_eq!(post("auditor", &persisted(other, true)).await, json!(null), "others are not limited");
    for refused in [json!({ "query": other }), json!({"query": "{"}), persisted(other, true), persisted(other, false)] {
        assert_eq!(post("page", &refused).await, not_trusted, "{refused}");
    }
    for trusted in [json!({"documentId": "head"}), json!({ "query": DOCUMENT }), persisted(OTHER, false)] {
        assert_eq!(post("page", &trusted).await, json!(null), "{trusted}");
    }
    assert_eq!(
        post("page", &json!([{"documentId": "head"}, {"query": other}])).await,
        json!(null),
        "a list of answers"
    );
    let get = gateway.client.get(gateway.url("/graphql?query=%7B__typename%20a%3A__typename%7D"));
    let answer: Value = get.bearer_auth("the token of page").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], not_trusted);
    let said = answer["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("documents = \"trusted\""), "the setting is named: {said}");

    let follow = "subscription { syncEvents { events { uuid } } }";
    let stream = gateway.event_stream(follow, &json!({})).bearer_auth("the token of page");
    let answer = stream.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("DOCUMENT_NOT_TRUSTED"), "{answer}");

    let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
    let payload = json!({"authorization": "Bearer the token of page"});
    socket.send(json!({"type": "connection_init", "payload": payload})).await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    socket.subscribe("1", follow, json!({})).await;
    assert_eq!(socket.message().await["payload"][0]["extensions"]["code"], not_trusted);
    socket.send(json!({"type": "subscribe", "id": "2", "payload": {"documentId": "watch"}})).await;
    assert_eq!(socket.batch("2").await, json!({"events": []}));
}

#[tokio::test]
async fn introspection_can_be_off() {
    let gateway = Gateway::start_with(|settings| settings.graphql.introspection = false).await;
    for query in [
        "{ __schema { queryType { name } } }",
        "{ a: __type(name: \"Query\") { name } }",
        "{ ...F } fragment F on Query { __schema { description } }",
    ] {
        assert_eq!(asked(&gateway, &json!({"query": query})).await, (400, json!("INTROSPECTION_DISABLED")), "{query}");
    }
    assert_eq!(asked(&gateway, &json!({"query": "{ __typename ingestion { __typename } }"})).await.0, 200);
    let answer = gateway.ask("{ syncEvent2 }", json!({})).await;
    let said = answer["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("syncEvent2") && !said.contains("syncEvents"), "no names are suggested: {said}");
}
