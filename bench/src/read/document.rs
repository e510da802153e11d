//! What is asked in GraphQL, as HTTP requests.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::question::PAGE;

/// Twelve scalars and the four entities, as a front end asks for them.
const PAGE_OF_EVENTS: &str = "\
query Page($filter: SyncEventFilter, $first: Int, $after: String) {
  syncEvents(filter: $filter, first: $first, after: $after) {
    nodes {
      id position org uuid eventType published message version severity outcome { result reason } receivedAt
      admin { ...Names }
      user { ...Names }
      applicationUser { ...Names }
      application { ...Names }
    }
    pageInfo { hasNextPage endCursor }
  }
}
fragment Names on Entity { oktaId alternateId displayName type }
";

const END_OF_PAGE: &str = "\
query End($filter: SyncEventFilter, $first: Int, $after: String) {
  syncEvents(filter: $filter, first: $first, after: $after) { pageInfo { hasNextPage endCursor } }
}
";

/// Asks for a page of an instance's events, or of all.
pub(super) fn page(address: SocketAddr, instance: Option<&str>, after: Option<&str>) -> Vec<u8> {
    post(address, PAGE_OF_EVENTS, &variables(instance, PAGE, after))
}

/// Asks with a token for the first page of the events that a filter wants. A gateway without readers needs none.
pub(super) fn page_of(address: SocketAddr, filter: &Value, token: &str) -> Vec<u8> {
    let authorization = format!("authorization: Bearer {token}\r\n");
    post_with(address, &authorization, PAGE_OF_EVENTS, &json!({ "filter": filter, "first": PAGE }))
}

/// Asks where a page ends, and nothing of its events.
pub(super) fn end_of_page(address: SocketAddr, instance: Option<&str>, first: usize, after: Option<&str>) -> Vec<u8> {
    post(address, END_OF_PAGE, &variables(instance, first, after))
}

fn variables(instance: Option<&str>, first: usize, after: Option<&str>) -> Value {
    json!({
        "filter": instance.map(|id| json!({ "applicationInstances": [id] })),
        "first": first,
        "after": after,
    })
}

/// A POST of a document and its variables.
pub(super) fn post(address: SocketAddr, query: &str, variables: &Value) -> Vec<u8> {
    post_with(address, "", query, variables)
}

fn post_with(address: SocketAddr, headers: &str, query: &str, variables: &Value) -> Vec<u8> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\n{headers}content-type: application/json\r\n\
         accept: application/graphql-response+json, application/json;q=0.9\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
