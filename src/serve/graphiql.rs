//! GraphiQL at `/graphiql`, built from `console/` and embedded in the binary.

use std::borrow::Cow;
use std::io::{self, Cursor, Read as _};

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use flate2::read::GzDecoder;
use futures_util::stream;
use rust_embed::Embed;

use super::problem;
use super::security_headers::policy_of_inline;

/// The gzipped files that `make console` has built; none if it was not run.
#[derive(Embed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Built;

/// The policy forbids all traffic with other hosts. The editor writes its styles into the page, and the page's style
/// sheet contains its fonts.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; \
                      font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The page names the other files, whose names change with their content.
const CACHE_PAGE: &str = "no-cache";
/// The number of bytes that are decompressed at once, so that a slow client keeps little of a file in memory.
const CHUNK: usize = 32 << 10;

const CACHE_FILE: &str = "public, max-age=31536000, immutable";

/// Serves the page, or a note if it was not built.
pub(super) async fn page(headers: HeaderMap) -> Response {
    match Built::get("index.html.gz") {
        Some(file) => respond("index.html", file.data, CACHE_PAGE, &headers),
        None => absent(),
    }
}

/// Serves one of the page's files.
pub(super) async fn file(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    match Built::get(&format!("graphiql/{name}.gz")) {
        Some(file) => respond(&name, file.data, CACHE_FILE, &headers),
        None => problem::no_route(uri).await.into_response(),
    }
}

/// Redirects to the path without a slash, to which the page's links are relative.
pub(super) async fn without_slash() -> Redirect {
    Redirect::permanent("../graphiql")
}

/// Explains that GraphiQL was not built, and how to build it.
fn absent() -> Response {
    let page = include_str!("graphiql.html");
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy_of_inline(page)),
        (header::CACHE_CONTROL, HeaderValue::from_static(CACHE_PAGE)),
    ];
    (StatusCode::NOT_FOUND, headers, Html(page)).into_response()
}

/// Responds with a file, gzipped if the client accepts that.
fn respond(name: &str, gzipped: Cow<'static, [u8]>, cache: &'static str, asked: &HeaderMap) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type(name)),
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if takes_gzip(asked) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return (headers, gzipped).into_response();
    }
    let name = name.to_owned();
    let mut decoder = GzDecoder::new(Cursor::new(gzipped));
    let chunks = std::iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK];
        let read = decoder.read(&mut chunk);
        if let Err(error) = &read {
            tracing::error!(%error, name, "a file in the binary is broken");
        }
        let read = read.map(|bytes| chunk.truncate(bytes)).map(|()| Bytes::from(chunk));
        read.map_or_else(|error| Some(Err::<_, io::Error>(error)), |chunk| (!chunk.is_empty()).then_some(Ok(chunk)))
    });
    (headers, Body::from_stream(stream::iter(chunks))).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Returns true if the client accepts gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    encodings.flat_map(|value| value.split(',')).any(|encoding| {
        let mut parts = encoding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        is_gzip && quality.is_none_or(|quality| quality.parse::<f32>().is_ok_and(|quality| quality > 0.0))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::body::to_bytes;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn asking(encodings: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, encodings.parse().unwrap())])
    }

    #[test]
    fn gzip_goes_to_who_asks_for_it() {
        for encodings in ["gzip", "deflate, GZIP", "br;q=1, gzip;q=0.5"] {
            assert!(takes_gzip(&asking(encodings)), "{encodings}");
        }
        for encodings in ["", "identity", "gzip;q=0", "gzip; q=0.0", "*"] {
            assert!(!takes_gzip(&asking(encodings)), "{encodings}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_file_is_the_same_gzipped_or_not() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"let x = 1;").unwrap();
        let gzipped = encoder.finish().unwrap();
        for (encodings, encoding, body) in [("gzip", Some("gzip"), &gzipped[..]), ("identity", None, b"let x = 1;")] {
            let response = respond("a-1.js", gzipped.clone().into(), CACHE_FILE, &asking(encodings));
            assert_eq!(response.status(), StatusCode::OK);
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header(header::CONTENT_ENCODING), encoding);
            assert_eq!(header(header::CONTENT_TYPE), Some("text/javascript; charset=utf-8"));
            assert_eq!(to_bytes(response.into_body(), 1000).await.unwrap(), body);
        }
    }

    #[tokio::test]
    async fn a_build_without_it_says_so_and_how_to_have_it() {
        let response = absent();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("built without Node") && text.contains("make console build"), "{text}");
    }
}
