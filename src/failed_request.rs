//! The words for requests that got no response.

use std::error::Error as _;

/// Returns the innermost cause of a failed request, such as that a name is not known, that a connection was refused or that a
/// certificate is not trusted. The URL is left out, since a link may contain a token.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_innermost_cause_is_told_without_the_url() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let error = client.get(format!("http://{closed}/a-secret")).send().await.unwrap_err();
        let cause = cause(&error);
        assert!(cause.starts_with("Connection refused") && !cause.contains("secret"), "{cause}");
    }
}
