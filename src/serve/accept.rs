//! Which of the two JSON types of GraphQL over HTTP a client wants.

use axum::http::{HeaderMap, header};

/// A media type of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`: a request that was understood is answered with 200, whatever came of it.
    Json,
    /// `application/graphql-response+json`: the status tells a request that could not be executed.
    GraphqlResponse,
}

impl MediaType {
    /// The value of the `Content-Type` header.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        }
    }

    /// The type that suits a client best; None where it takes neither. Without `Accept`, and for `*/*`, it is JSON, as
    /// older clients expect.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
        if accepted.peek().is_none() {
            return Some(Self::Json);
        }
        let ranges = accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let mut best: Option<(Self, u16)> = None;
        for (media_type, quality) in ranges.filter_map(range) {
            if quality > best.map_or(0, |(_, quality)| quality) {
                best = Some((media_type, quality));
            }
        }
        best.map(|(media_type, _)| media_type)
    }
}

/// The type that a media range takes, and its quality in thousandths.
fn range(text: &str) -> Option<(MediaType, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/graphql-response+json" => MediaType::GraphqlResponse,
        "application/json" | "application/*" | "*/*" => MediaType::Json,
        _ => return None,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((media_type, quality.map_or(Some(1000), thousandths)?))
}

/// "0.8" is 800; None where it is no quality.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{fraction:0<3}");
    let value = whole.parse::<u16>().ok()?.checked_mul(1000)?.checked_add(digits.get(..3)?.parse().ok()?)?;
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: Option<&str>) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        MediaType::wanted(&headers)
    }

    #[test]
    fn the_best_of_what_is_accepted() {
        assert_eq!(wanted(None), Some(MediaType::Json));
        assert_eq!(wanted(Some("*/*")), Some(MediaType::Json));
        assert_eq!(wanted(Some("application/json")), Some(MediaType::Json));
        assert_eq!(wanted(Some("application/graphql-response+json; charset=utf-8")), Some(MediaType::GraphqlResponse));
        let both = "application/graphql-response+json, application/json;q=0.9";
        assert_eq!(wanted(Some(both)), Some(MediaType::GraphqlResponse));
        let json = "application/graphql-response+json;q=0.5,application/json;q=0.9";
        assert_eq!(wanted(Some(json)), Some(MediaType::Json));
        for none in ["text/html", "application/json;q=0", "image/png, text/*", ""] {
            assert_eq!(wanted(Some(none)), None, "{none}");
        }
    }
}
