//! Content negotiation: one of the two JSON types of GraphQL over HTTP, or a stream of responses.

use axum::http::{HeaderMap, header};

use super::stream::StreamType;

/// The media type of a single response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`: an understood request gets status 200, even if its execution failed.
    Json,
    /// `application/graphql-response+json`: the status shows that a request could not be executed.
    GraphqlResponse,
}

impl MediaType {
    /// Returns the value of the `Content-Type` header.
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
}

/// The form of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Single(MediaType),
    Stream(StreamType),
}

/// A client's preference for a type: by quality in thousandths, then by exactness, then by order in the header.
type Preference = (u16, Exactness, std::cmp::Reverse<usize>);

/// The exactness with which a media range names a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    /// `*/*`
    Any,
    /// `application/*`
    Family,
    /// The type itself.
    Exact,
}

/// The types that a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The JSON type that the client prefers.
    single: Option<(Preference, MediaType)>,
    event_stream: Option<Preference>,
    multipart: Option<Preference>,
}

impl Accepted {
    /// Parses `Accept`; None if the client accepts no available type. Without the header and for `*/*` the type is
    /// JSON, as older clients expect. Streams must be requested by name.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let accepted: Vec<_> = headers.get_all(header::ACCEPT).iter().collect();
        let text = |value: &'_ axum::http::HeaderValue| value.to_str().map(str::to_owned).ok();
        let lines: Vec<String> =
            if accepted.is_empty() { vec!["*/*".to_owned()] } else { accepted.into_iter().filter_map(text).collect() };
        let ranges: Vec<_> = lines.iter().flat_map(|line| line.split(',')).filter_map(Range::parse).collect();
        let [json, newer] = [MediaType::Json, MediaType::GraphqlResponse]
            .map(|media_type| Some((preference(&ranges, |range| range.holds(media_type))?, media_type)));
        let exact = |is: bool| is.then_some(Exactness::Exact);
        let single = match (json, newer) {
            (Some((json, _)), Some((preference, _))) if preference > json => newer,
            _ => json.or(newer),
        };
        let event_stream = preference(&ranges, |range| exact(range.is("text/event-stream")));
        let multipart = preference(&ranges, |range| exact(range.is("multipart/mixed") && range.subscribes));
        let accepted = Self { single, event_stream, multipart };
        (single.is_some() || event_stream.is_some() || multipart.is_some()).then_some(accepted)
    }

    /// Returns the type of a single response, or JSON if the client accepts none: errors of HTTP itself are sent as
    /// JSON.
    pub(super) fn single_or_json(&self) -> MediaType {
        self.single.map_or(MediaType::Json, |(_, media_type)| media_type)
    }

    /// Returns the form of the response to an operation with a single answer.
    pub(super) fn for_one_answer(&self) -> Form {
        match (self.single, self.event_stream) {
            (Some((preference, _)), Some(streamed)) if streamed > preference => Form::Stream(StreamType::EventStream),
            (Some((_, media_type)), _) => Form::Single(media_type),
            (None, Some(_)) => Form::Stream(StreamType::EventStream),
            (None, None) => Form::Stream(StreamType::Multipart),
        }
    }

    /// Returns the stream type for an operation with many answers; None if the client accepts single responses only.
    pub(super) fn for_many_answers(&self) -> Option<StreamType> {
        match (self.event_stream, self.multipart) {
            (Some(events), Some(parts)) if parts > events => Some(StreamType::Multipart),
            (Some(_), _) => Some(StreamType::EventStream),
            (None, parts) => parts.map(|_| StreamType::Multipart),
        }
    }
}

/// Returns the preference that the most exact matching range gives a type.
fn preference(ranges: &[Range<'_>], holds: impl Fn(&Range<'_>) -> Option<Exactness>) -> Option<Preference> {
    let places = ranges.iter().enumerate();
    let holding = places.filter_map(|(place, range)| Some((holds(range)?, std::cmp::Reverse(place), range)));
    let (exactness, place, range) = holding.max_by_key(|(exactness, place, _)| (*exactness, *place))?;
    (range.quality > 0).then_some((range.quality, exactness, place))
}

/// A media range in `Accept`.
struct Range<'h> {
    name: &'h str,
    /// The quality in thousandths.
    quality: u16,
    /// True if the range requests the supported version of Apollo's subscription protocol.
    subscribes: bool,
}

impl<'h> Range<'h> {
    /// Parses a range; None if it is malformed or requires another charset than UTF-8.
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?;
        let (mut quality, mut subscribes) = (1_000, false);
        for (parameter, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim_matches('"');
            if parameter.eq_ignore_ascii_case("q") {
                quality = thousandths(value)?;
            } else if parameter.eq_ignore_ascii_case("subscriptionSpec") {
                subscribes = value == "1.0";
            } else if parameter.eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
                return None;
            }
        }
        Some(Self { name, quality, subscribes })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn holds(&self, media_type: MediaType) -> Option<Exactness> {
        if self.is(media_type.name()) {
            return Some(Exactness::Exact);
        }
        self.is("application/*").then_some(Exactness::Family).or_else(|| self.is("*/*").then_some(Exactness::Any))
    }
}

/// Parses a quality: "0.8" is 800; None if it is malformed.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{fraction:0<3}");
    let value = whole.parse::<u16>().ok()?.checked_mul(1000)?.checked_add(digits.get(..3)?.parse().ok()?)?;
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: Option<&str>) -> Option<Accepted> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        Accepted::read(&headers)
    }

    fn wanted(accept: Option<&str>) -> Option<MediaType> {
        match accepted(accept)?.for_one_answer() {
            Form::Single(media_type) => Some(media_type),
            Form::Stream(_) => None,
        }
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

    #[test]
    fn streams_are_asked_for_by_name_in_any_order() {
        const APOLLO: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0";
        let many = |accept: &str| accepted(Some(accept)).and_then(|accepted| accepted.for_many_answers());
        let one = |accept: &str| accepted(Some(accept)).map(|accepted| accepted.for_one_answer());
        let (events, parts) = (Some(StreamType::EventStream), Some(StreamType::Multipart));
        for (accept, stream_type) in [
            ("text/event-stream", events),
            ("application/json, text/event-stream;q=0.1", events),
            ("text/event-stream, multipart/mixed", events),
            (APOLLO, parts),
            (&format!("application/json, {APOLLO}"), parts),
            (&format!("{APOLLO}, application/graphql-response+json, application/json;q=0.9"), parts),
            ("Multipart/Mixed; subscriptionspec=\"1.0\"; boundary=\"-\"", parts),
            (&format!("{APOLLO}, text/event-stream"), parts),
            (&format!("text/event-stream, {APOLLO}"), events),
            (&format!("text/event-stream;q=0.5, {APOLLO};q=0.6"), parts),
            (&format!("text/event-stream;q=0, {APOLLO}"), parts),
            ("multipart/mixed, application/json", None),
            ("multipart/mixed;subscriptionSpec=2.0, application/json", None),
            ("*/*", None),
            ("application/json", None),
        ] {
            assert_eq!(many(accept), stream_type, "{accept}");
        }
        let json = Form::Single(MediaType::Json);
        for (accept, form) in [
            ("text/event-stream", Form::Stream(StreamType::EventStream)),
            ("text/event-stream, */*;q=0.1", Form::Stream(StreamType::EventStream)),
            ("application/json, text/event-stream", json),
            (APOLLO, Form::Stream(StreamType::Multipart)),
            (&format!("{APOLLO}, application/json;q=0.9"), json),
        ] {
            assert_eq!(one(accept), Some(form), "{accept}");
        }
        assert_eq!(accepted(Some("multipart/mixed")), None);
        assert_eq!(accepted(Some("text/event-stream;q=0")), None);
    }
}
