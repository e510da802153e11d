//! GraphQL over HTTP by its specification: media types, statuses, methods, batches, and who may not ask.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::gateway::Gateway;

const JSON: &str = "application/json";
const NEWER: &str = "application/graphql-response+json";

impl Gateway {
    fn asking(&self, method: Method) -> RequestBuilder {
        self.client.request(method, self.url("/graphql"))
    }

    /// Posts a body with an `Accept`.
    async fn post_accepting(&self, accept: &str, body: &Value) -> Response {
        self.asking(Method::POST).header("accept", accept).json(body).send().await.unwrap()
    }

    /// Gets with parameters and an `Accept`.
    async fn get_accepting(&self, accept: &str, parameters: &[(&str, &str)]) -> Response {
        let mut url = reqwest::Url::parse(&self.url("/graphql")).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        self.client.get(url).header("accept", accept).send().await.unwrap()
    }
}

/// The status, and the code of the first error.
async fn told(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    (status, answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_status_tells_what_the_media_type_lets_it_tell() {
    let gateway = Gateway::start().await;
    let cases = [
        (json!({"query": "{ ingestion { head } }"}), 200, 200, ""),
        (json!({"query": "{ node(id: \"x\") { id } }"}), 200, 200, ""),
        (json!({"query": "{ syncEvents(first: -1) { head } }"}), 200, 200, "BAD_USER_INPUT"),
        (json!({"query": "{"}), 200, 400, "GRAPHQL_PARSE_FAILED"),
        (json!({"query": "{ nothing }"}), 200, 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({"query": "mutation { nothing }"}), 200, 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({"query": "query ($id: ID!) { node(id: $id) { id } }"}), 200, 400, "BAD_USER_INPUT"),
        (json!({"query": "query A { __typename } query B { __typename }"}), 200, 400, "BAD_REQUEST"),
        (json!({"query": "{ __typename }", "operationName": "A"}), 200, 400, "BAD_REQUEST"),
        (json!({"query": "subscription { syncEvents { events { position } } }"}), 400, 400, "BAD_REQUEST"),
        (json!({"nothing": "{ __typename }"}), 400, 400, "BAD_REQUEST"),
        (json!({"query": "{ __typename }", "variables": []}), 400, 400, "BAD_REQUEST"),
        (json!("{ __typename }"), 400, 400, "BAD_REQUEST"),
    ];
    for (body, json_status, newer_status, code) in cases {
        for (accept, status) in [(JSON, json_status), (NEWER, newer_status)] {
            let response = gateway.post_accepting(accept, &body).await;
            let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
            assert_eq!(content_type, format!("{accept}; charset=utf-8"), "{body}");
            assert_eq!(response.headers()["cache-control"], "no-store", "{body}");
            assert_eq!(told(response).await, (status, code.to_owned()), "{accept} {body}");
        }
    }
    let refused = gateway.post_accepting(NEWER, &json!({"query": "{ nothing }"})).await;
    let refused: Value = refused.json().await.unwrap();
    assert!(refused.get("data").is_none(), "what was not executed has no data: {refused}");
}

#[tokio::test]
async fn the_type_of_answers_is_negotiated() {
    let gateway = Gateway::start().await;
    let body = json!({"query": "{ __typename }"});
    for (accept, expected) in [
        ("*/*", JSON),
        ("application/*;q=0.2", JSON),
        ("application/graphql-response+json, application/json;q=0.9", NEWER),
        ("application/json;q=0.9, application/graphql-response+json;q=0.8", JSON),
    ] {
        let response = gateway.post_accepting(accept, &body).await;
        assert_eq!(response.headers()["content-type"], format!("{expected}; charset=utf-8"), "{accept}");
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
    }
    for accept in ["text/html", "multipart/mixed", "application/json;q=0", "application/json; charset=utf-16"] {
        let response = gateway.post_accepting(accept, &body).await;
        assert_eq!(told(response).await, (406, "NOT_ACCEPTABLE".to_owned()), "{accept}");
    }
}

#[tokio::test]
async fn get_is_for_queries() {
    let gateway = Gateway::start().await;
    let with_variables =
        [("query", "query Q($n: String!) { application(name: $n) { id } }"), ("variables", r#"{"n": "x"}"#)];
    let named = [("query", "query A { __typename } query B { b: __typename }"), ("operationName", "B")];
    for (parameters, data) in [
        (&with_variables[..], json!({"application": null})),
        (&named[..], json!({"b": "Query"})),
        (
            &[("query", "{ __typename }"), ("variables", ""), ("extensions", "{}"), ("more", "x")][..],
            json!({"__typename": "Query"}),
        ),
    ] {
        let response = gateway.get_accepting(JSON, parameters).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.json::<Value>().await.unwrap(), json!({"data": data}));
    }
    for query in ["mutation { __typename }", "subscription { syncEvents { events { position } } }"] {
        for accept in [JSON, NEWER] {
            let response = gateway.get_accepting(accept, &[("query", query)]).await;
            assert_eq!(response.headers()["allow"], "GET, HEAD, POST", "{query}");
            assert_eq!(told(response).await, (405, "METHOD_NOT_ALLOWED".to_owned()), "{query}");
        }
    }
    for parameters in [
        &[][..],
        &[("query", "")],
        &[("variables", "{}")],
        &[("query", "{ __typename }"), ("query", "{ __typename }")],
        &[("query", "{ __typename }"), ("variables", "[]")],
        &[("query", "{ __typename }"), ("variables", "{")],
        &[("query", "{ __typename }"), ("extensions", "7")],
        &[("query", "{ __typename }"), ("extensions", r#"{"persistedQuery": 7}"#)],
    ] {
        let response = gateway.get_accepting(JSON, parameters).await;
        assert_eq!(told(response).await, (400, "BAD_REQUEST".to_owned()), "{parameters:?}");
    }
}

#[tokio::test]
async fn only_json_that_is_whole_and_not_too_large_is_read() {
    let gateway = Gateway::start_with(|settings| settings.limits.query_body_bytes = 1_000).await;
    let good = r#"{"query": "{ __typename }"}"#;
    let types = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=utf-16"),
    ];
    for content_type in types {
        let request = gateway.asking(Method::POST).body(good);
        let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["accept"], JSON, "{content_type:?}");
        assert_eq!(told(response).await, (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{content_type:?}");
    }
    for content_type in
        [JSON, "APPLICATION/JSON", "application/json; charset=UTF-8", "application/json;charset=\"utf-8\""]
    {
        let request = gateway.asking(Method::POST).body(good).header("content-type", content_type);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{content_type}");
    }
    let packed =
        gateway.asking(Method::POST).body(good).header("content-type", JSON).header("content-encoding", "gzip");
    assert_eq!(told(packed.send().await.unwrap()).await, (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()));
    for body in [
        "",
        " ",
        "{",
        good.trim_end_matches('}'),
        "\u{feff}{}",
        "null",
        "[1]",
        "[]",
        r#"{"query":"{a}","query":"{b}"}"#,
    ] {
        assert_eq!(told(gateway.post_graphql(body).await).await, (400, "BAD_REQUEST".to_owned()), "{body}");
    }
    for body in [&b"\xff\xfe{\x00}\x00"[..], b"{\"query\": \"\xff\"}"] {
        assert_eq!(told(gateway.post_graphql(body).await).await, (400, "BAD_REQUEST".to_owned()), "{body:?}");
    }
    let large = format!("{}{}", good, " ".repeat(1_000));
    assert_eq!(told(gateway.post_graphql(large).await).await, (413, "TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_bounded() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.batch = 3;
        settings.limits.complexity = 150;
    })
    .await;
    let one = json!({"query": "{ ingestion { head } }"});
    let response = gateway.post_accepting(NEWER, &json!([one, {"query": "{"}, {"query": "{ b: __typename }"}])).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answers: Value = response.json().await.unwrap();
    assert_eq!(answers[0], json!({"data": {"ingestion": {"head": "0"}}}));
    assert_eq!(answers[1]["errors"][0]["extensions"]["code"], "GRAPHQL_PARSE_FAILED");
    assert_eq!(answers[2], json!({"data": {"b": "Query"}}));
    assert_eq!(answers.as_array().unwrap().len(), 3);

    for (body, status, code) in [
        (json!([one, one, one, one]), 413, "TOO_LARGE"),
        (json!([]), 400, "BAD_REQUEST"),
        (json!([one, {}]), 400, "BAD_REQUEST"),
        (json!([[one]]), 400, "BAD_REQUEST"),
    ] {
        let response = gateway.post_accepting(JSON, &body).await;
        assert_eq!(told(response).await, (status, code.to_owned()), "{body}");
    }
    let page = json!({"query": "{ syncEvents(first: 20) { nodes { id } } }"});
    let answers: Value = gateway.post_accepting(JSON, &json!([page, page, page])).await.json().await.unwrap();
    let codes = [0, 1, 2].map(|at| answers[at]["errors"][0]["extensions"]["code"].as_str().unwrap_or_default());
    assert_eq!(codes, ["", "", "TOO_COMPLEX"], "together they may cost what one may: {answers}");
    let facts = &answers[2]["errors"][0]["extensions"];
    assert!(facts["limit"].is_u64() && facts["cost"].as_u64() > facts["limit"].as_u64(), "{facts}");
    let waits = json!([{"query": "subscription { syncEvents(batch: 1) { events { position } } }"}]);
    let answers: Value = gateway.post_accepting(JSON, &waits).await.json().await.unwrap();
    assert_eq!(answers[0]["errors"][0]["extensions"]["code"], "BAD_REQUEST");

    let without = Gateway::start_with(|settings| settings.limits.batch = 0).await;
    let response = without.post_accepting(JSON, &json!([one])).await;
    assert_eq!(told(response).await, (413, "TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn pages_of_other_sites_cannot_ask() {
    let gateway = Gateway::start().await;
    let port = gateway.address.port();
    let own = format!("http://{}", gateway.address);
    let ask = |headers: &[(&'static str, String)]| {
        let queries = [
            gateway.client.get(gateway.url("/graphql?query=%7B__typename%7D")),
            gateway.asking(Method::POST).json(&json!({"query": "{ __typename }"})),
        ];
        queries.map(|query| headers.iter().fold(query, |query, (name, value)| query.header(*name, value)))
    };
    for headers in [
        vec![],
        vec![("origin", own.clone()), ("sec-fetch-site", "same-origin".to_owned())],
        vec![("sec-fetch-site", "none".to_owned())],
        vec![("host", format!("localhost:{port}"))],
        vec![("host", format!("LOCALHOST:{port}")), ("origin", format!("http://localhost:{port}"))],
    ] {
        for request in ask(&headers) {
            assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{headers:?}");
        }
    }
    for (headers, code) in [
        (vec![("origin", "https://evil.example".to_owned())], "FOREIGN_ORIGIN"),
        (vec![("origin", "null".to_owned())], "FOREIGN_ORIGIN"),
        (vec![("origin", format!("http://localhost:{port}"))], "FOREIGN_ORIGIN"),
        (vec![("sec-fetch-site", "cross-site".to_owned())], "FOREIGN_ORIGIN"),
        (vec![("sec-fetch-site", "same-site".to_owned())], "FOREIGN_ORIGIN"),
        (vec![("host", format!("evil.example:{port}"))], "FOREIGN_HOST"),
        (
            vec![("host", format!("evil.example:{port}")), ("origin", format!("http://evil.example:{port}"))],
            "FOREIGN_HOST",
        ),
    ] {
        for request in ask(&headers) {
            assert_eq!(told(request.send().await.unwrap()).await, (403, code.to_owned()), "{headers:?}");
        }
    }
}
