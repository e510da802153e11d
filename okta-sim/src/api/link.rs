//! `Link` headers, and the opaque tokens in them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// Which links are good.
#[derive(Debug, Default)]
pub(super) struct Links {
    generation: AtomicU64,
}

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A number that the API understands.
    pub(super) at: i128,
    /// A second one.
    pub(super) then: u64,
}

impl Links {
    /// Makes every link that was given out bad.
    pub(super) fn expire(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// A token for a place in the answers to a query.
    pub(super) fn token(&self, place: Place, query: &str, now: OffsetDateTime) -> String {
        let generation = self.generation.load(Ordering::Relaxed);
        let issued = now.unix_timestamp_nanos() / 1_000_000;
        format!("{}_{}_{generation}_{issued}_{}", place.at, place.then, digest(query))
    }

    /// The place that a token stands for, or the rule that it breaks.
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

/// Tells links, by their relations: as one header, or each in its own.
pub(super) fn tell(headers: &mut HeaderMap, links: &[(&str, String)], joined: bool) {
    let texts = links.iter().map(|(relation, url)| format!("<{url}>; rel=\"{relation}\""));
    let texts: Vec<_> = if joined { vec![texts.collect::<Vec<_>>().join(", ")] } else { texts.collect() };
    for text in texts {
        headers.extend(HeaderValue::from_str(&text).ok().map(|value| (LINK, value)));
    }
}
