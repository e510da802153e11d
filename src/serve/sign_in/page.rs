//! The pages that people see when they sign in: the choice of an issuer, and the reasons of failures.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use url::form_urlencoded;

use crate::auth::SignInFault;
use crate::serve::security_headers::policy_of_inline;

const PAGE: &str = include_str!("page.html");

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy_of_inline(PAGE));

/// Lets a person choose an issuer.
pub(super) fn choice(issuers: &[String], return_to: &str) -> Response {
    let link = |issuer: &String| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("issuer", issuer).append_pair("to", return_to);
        format!(r#"<a href="/auth/login?{}">{}</a>"#, escaped(&query.finish()), escaped(issuer))
    };
    let links = issuers.iter().map(link).collect::<String>();
    respond(StatusCode::OK, "Sign in", "Choose where to sign in.", &links)
}

/// Explains why a sign-in has failed.
pub(super) fn fault(fault: &SignInFault) -> Response {
    let (status, title) = match fault {
        SignInFault::NotConfigured | SignInFault::UnknownIssuer(_) => {
            (StatusCode::NOT_FOUND, "Nobody can sign in here")
        }
        SignInFault::NoRights { .. } => (StatusCode::FORBIDDEN, "No access"),
        SignInFault::TooMany => (StatusCode::TOO_MANY_REQUESTS, "The sign-in is not possible now"),
        SignInFault::NotLocal
        | SignInFault::UnknownLogin
        | SignInFault::OtherIssuer(..)
        | SignInFault::Refused(..)
        | SignInFault::NoCode(_) => (StatusCode::BAD_REQUEST, "The sign-in has failed"),
        SignInFault::Busy | SignInFault::Unavailable | SignInFault::NoMetadata(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "The sign-in is not possible now")
        }
        _ => (StatusCode::BAD_GATEWAY, "The sign-in has failed"),
    };
    let links = match fault {
        SignInFault::NotConfigured => r#"<a href="/">Back</a>"#.to_owned(),
        // The issuer would let the same person in again without a question.
        SignInFault::NoRights { issuer, .. } => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("again", "1").append_pair("issuer", issuer);
            let query = escaped(&query.finish());
            format!(r#"<a href="/auth/login?{query}">Sign in as somebody else</a><a href="/">Back</a>"#)
        }
        _ => r#"<a href="/auth/login">Sign in again</a><a href="/">Back</a>"#.to_owned(),
    };
    respond(status, title, &fault.to_string(), &links)
}

/// Fills the page. The text may be foreign, and the links are HTML.
fn respond(status: StatusCode, title: &str, text: &str, links: &str) -> Response {
    let page = PAGE.replace("{title}", title).replace("{links}", links).replace("{text}", &escaped(text));
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(page)).into_response()
}

/// Returns a text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), 100_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn foreign_texts_are_no_html() {
        let evil = "<script>alert('1')</script>&\"{links}";
        let page = fault(&SignInFault::Refused("okta".to_owned(), evil.to_owned()));
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        let page = text(page).await;
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;{links}"), "{page}");
        let page = text(choice(&["okta".to_owned(), "a\"b&c".to_owned()], "/graphiql?a=1&b=\"")).await;
        assert!(
            page.contains(r#"<a href="/auth/login?issuer=okta&amp;to=%2Fgraphiql%3Fa%3D1%26b%3D%22">okta</a>"#),
            "{page}"
        );
        assert!(page.contains("issuer=a%22b%26c") && page.contains("a&quot;b&amp;c</a>"), "{page}");
    }
}
