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

/// How much a client wants a type: by quality in thousandths, then by how exactly it says so, then by who comes first.
type Wish = (u16, Exactness, std::cmp::Reverse<usize>);

/// How exactly a media range names a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    /// `*/*`
    Any,
    /// `application/*`
    Family,
    /// The type itself.
    Exact,
}

impl MediaType {
    /// The value of the `Content-Type` header.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::GraphqlResponse => "application/graphql-response+json",
        }
    }

    /// The type that suits a client best; None where it takes neither. Without `Accept`, and for `*/*`, it is JSON, as
    /// older clients expect.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let accepted: Vec<_> = headers.get_all(header::ACCEPT).iter().collect();
        if accepted.is_empty() {
            return Some(Self::Json);
        }
        let ranges = accepted.into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let ranges: Vec<_> = ranges.filter_map(Range::parse).collect();
        let [json, newer] = [Self::Json, Self::GraphqlResponse].map(|media_type| media_type.wish(&ranges));
        match (json, newer) {
            (None, None) => None,
            (json, newer) => Some(if newer > json { Self::GraphqlResponse } else { Self::Json }),
        }
    }

    /// What the most exact range says that holds this type.
    fn wish(self, ranges: &[Range<'_>]) -> Option<Wish> {
        let places = ranges.iter().enumerate();
        let holding = places.filter_map(|(place, range)| Some((range.holds(self)?, std::cmp::Reverse(place), range)));
        let (exactness, place, range) = holding.max_by_key(|(exactness, place, _)| (*exactness, *place))?;
        (range.quality > 0).then_some((range.quality, exactness, place))
    }
}

/// A media range of `Accept`.
struct Range<'h> {
    name: &'h str,
    /// In thousandths.
    quality: u16,
}

impl<'h> Range<'h> {
    /// Reads a range; None where it cannot be read, or wants another charset than UTF-8.
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?;
        let mut quality = 1_000;
        for (parameter, value) in parts.filter_map(|part| part.split_once('=')) {
            if parameter.eq_ignore_ascii_case("q") {
                quality = thousandths(value)?;
            } else if parameter.eq_ignore_ascii_case("charset")
                && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            {
                return None;
            }
        }
        Some(Self { name, quality })
    }

    fn holds(&self, media_type: MediaType) -> Option<Exactness> {
        let is = |name: &str| self.name.eq_ignore_ascii_case(name);
        if is(media_type.name()) {
            return Some(Exactness::Exact);
        }
        is("application/*").then_some(Exactness::Family).or_else(|| is("*/*").then_some(Exactness::Any))
    }
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
        for json in [
            "*/*",
            "application/*",
            "application/json",
            "text/html, */*;q=0.1",
            "application/graphql-response+json;q=0.5,application/json;q=0.9",
            "application/json, application/graphql-response+json",
            "application/graphql-response+json;q=0, */*",
            "application/graphql-response+json;charset=latin1, application/json",
            "application/graphql-response+json;q=x, application/json",
        ] {
            assert_eq!(wanted(Some(json)), Some(MediaType::Json), "{json}");
        }
        for newer in [
            "application/graphql-response+json; charset=utf-8",
            "Application/GraphQL-Response+JSON",
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json, application/json, text/event-stream, multipart/mixed",
            "application/graphql-response+json, */*",
            "application/json;q=0, */*;q=0.5",
        ] {
            assert_eq!(wanted(Some(newer)), Some(MediaType::GraphqlResponse), "{newer}");
        }
        for none in ["text/html", "application/json;q=0", "image/png, text/*", "", "application/json; charset=utf-16"] {
            assert_eq!(wanted(Some(none)), None, "{none}");
        }
    }
}
