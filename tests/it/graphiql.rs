//! GraphiQL as it is served: its page, the files that this names, their types, and how long they may be kept.

use reqwest::header::{ACCEPT_ENCODING, HeaderName};
use reqwest::{Client, Response, StatusCode};

use crate::gateway::Gateway;

async fn get(gateway: &Gateway, path: &str) -> Response {
    gateway.client.get(gateway.url(path)).send().await.unwrap()
}

fn header(response: &Response, name: &str) -> String {
    let name = HeaderName::try_from(name).unwrap();
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// The page's text.
async fn page(gateway: &Gateway) -> String {
    let response = get(gateway, "/graphiql").await;
    assert_eq!(response.status(), StatusCode::OK, "GraphiQL is not in this build: run `make test`");
    assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&response, "cache-control"), "no-cache");
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_page_and_its_files_come_from_the_gateway_alone() {
    let gateway = Gateway::start().await;
    let page = page(&gateway).await;
    assert!(!page.contains("http:") && !page.contains("https:"), "{page}");
    let files: Vec<&str> = page.split('"').filter_map(|text| text.strip_prefix("./graphiql/")).collect();
    assert!(files.len() >= 2, "{page}");
    for file in files {
        let response = get(&gateway, &format!("/graphiql/{file}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        let (_, extension) = file.rsplit_once('.').unwrap();
        let content_type = if extension == "js" { "text/javascript" } else { "text/css" };
        assert_eq!(header(&response, "content-type"), format!("{content_type}; charset=utf-8"), "{file}");
        assert_eq!(header(&response, "cache-control"), "public, max-age=31536000, immutable", "{file}");
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert!(!response.bytes().await.unwrap().is_empty(), "{file}");
    }
}

#[tokio::test]
async fn files_are_gzipped_for_who_reads_that() {
    let gateway = Gateway::start().await;
    let plain = page(&gateway).await;
    let client = Client::builder().no_proxy().no_gzip().build().unwrap();
    for (encodings, encoding) in [("gzip", "gzip"), ("identity", "")] {
        let request = client.get(gateway.url("/graphiql")).header(ACCEPT_ENCODING, encodings);
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "content-encoding"), encoding);
        assert_eq!(header(&response, "vary"), "accept-encoding");
        let is_plain = response.bytes().await.unwrap() == plain;
        assert_eq!(is_plain, encoding.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let gateway = Gateway::start().await;
    for path in ["/graphiql/nothing.js", "/graphiql/index.html", "/graphiql/..%2findex.html", "/graphiql/.gitignore"] {
        assert_eq!(get(&gateway, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let with_slash = get(&gateway, "/graphiql/").await;
    assert_eq!((with_slash.status(), with_slash.url().path()), (StatusCode::OK, "/graphiql"));
}
