//! `Link` headers and the opaque tokens in their links.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// The validity of links.
#[derive(Debug, Default)]
pub(super) struct Links {
    generation: AtomicU64,
}

/// The position that a token encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A number that the API interprets.
    pub(super) at: i128,
    /// A second number.
    pub(super) then: u64,
}

impl Links {
    /// Makes all existing links invalid.
    pub(super) fn expire(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Creates a token for a position in the results of a query.
    pub(super) fn token(&self, place: Place, query: &str, now: OffsetDateTime) -> String {
        let generation = self.generation.load(Ordering::Relaxed);
        let issued = now.unix_timestamp_nanos() / 1_000_000;
        format!("{}_{}_{generation}_{issued}_{}", place.at, place.then, digest(query))
    }

    /// Returns the position of a token. The error is the violated rule.
    pub(super) fn read(
        &self,
        token: &str,
        query: &str,
        lifetime: Option<Duration>,
        now: OffsetDateTime,
    ) -> Result<Place, &'static str> {
        let parts: Vec<_> = token.split('_').collect();
        let [at, then, generation, issued, of] = parts[..] else {
            return Err("`after` is opaque: it is taken from a `next` link and never made");
        };
        let (Ok(at), Ok(then), Ok(generation), Ok(issued)) =
            (at.parse(), then.parse(), generation.parse::<u64>(), issued.parse::<i128>())
        else {
            return Err("`after` is opaque: it is taken from a `next` link and never made");
        };
        if of != digest(query) {
            return Err("a `next` link is followed as it is: its `after` belongs to its other parameters");
        }
        let age = now.unix_timestamp_nanos() / 1_000_000 - issued;
        let is_old = lifetime.is_some_and(|lifetime| age > i128::try_from(lifetime.as_millis()).unwrap_or(i128::MAX));
        if is_old || generation != self.generation.load(Ordering::Relaxed) {
            return Err("the link has expired: start again with `since`");
        }
        Ok(Place { at, then })
    }
}

fn digest(query: &str) -> String {
    Sha256::digest(query).iter().take(6).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Adds links by their relations, in one header or one header for each.
pub(super) fn tell(headers: &mut HeaderMap, links: &[(&str, String)], joined: bool) {
    let texts = links.iter().map(|(relation, url)| format!("<{url}>; rel=\"{relation}\""));
    let texts: Vec<_> = if joined { vec![texts.collect::<Vec<_>>().join(", ")] } else { texts.collect() };
    for text in texts {
        headers.extend(HeaderValue::from_str(&text).ok().map(|value| (LINK, value)));
    }
}
