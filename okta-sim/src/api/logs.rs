//! `GET /api/v1/logs`.
//!
//! A request without `until` in ascending order is a polling request: events come in the order in which they were
//! persisted, and there is always a next link. Every other request is bounded: events come in the order in which they
//! happened, without those that have not arrived yet, and the list ends.

use axum::http::HeaderMap;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::filter::Filter;
use super::link::Place;
use super::refusal::Refusal;
use super::{Org, link};
use crate::system_log::LogEntry;

/// The maximum number of events on a page.
const MAX_LIMIT: usize = 1000;
/// The default number of events on a page.
const DEFAULT_LIMIT: usize = 100;

/// The maximum age of `since`.
const OLDEST: Duration = Duration::days(180);

/// The default age of `since`.
const DEFAULT_SINCE: Duration = Duration::days(7);

/// The time for which events are kept.
const RETENTION: Duration = Duration::days(90);

#[derive(Debug)]
struct Query {
    since: OffsetDateTime,
    until: Option<OffsetDateTime>,
    descending: bool,
    limit: usize,
    filter: Option<Filter>,
    after: Option<String>,
    /// All parameters except `after`, unchanged.
    rest: String,
}

impl Query {
    fn parse(parameters: &[(String, String)], now: OffsetDateTime) -> Result<Self, Refusal> {
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let moment = |name: &str| {
            let text = get(name).filter(|text| !text.is_empty());
            text.map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose().map_err(|_| {
                Refusal::validation(&format!("{name}: expected an ISO 8601 timestamp such as 2026-01-31T23:59:59.123Z"))
            })
        };
        let until = moment("until")?;
        let since = moment("since")?.unwrap_or_else(|| until.unwrap_or(now) - DEFAULT_SINCE);
        if since < now - OLDEST {
            return Err(Refusal::validation("since: it may be at most 180 days ago"));
        }
        if until.is_some_and(|until| until < since) {
            return Err(Refusal::validation("until: it must not be before since"));
        }
        let descending = match get("sortOrder").unwrap_or("ASCENDING") {
            "ASCENDING" => false,
            "DESCENDING" => true,
            _ => return Err(Refusal::validation("sortOrder: it is ASCENDING or DESCENDING")),
        };
        let limit = match get("limit").map_or(Ok(DEFAULT_LIMIT), str::parse) {
            Ok(limit) if limit <= MAX_LIMIT => limit,
            _ => return Err(Refusal::validation("limit: it is an integer between 0 and 1000")),
        };
        if get("q").is_some() {
            return Err(Refusal::validation("q: this stand-in knows no search by keywords; use filter"));
        }
        let filter = get("filter").filter(|text| !text.is_empty());
        let filter = filter.map(Filter::parse).transpose().map_err(|rule| Refusal::validation(&rule))?;
        let mut rest = reqwest::Url::parse("http://rest/").map_err(|_| Refusal::validation("query"))?;
        rest.query_pairs_mut().extend_pairs(parameters.iter().filter(|(key, _)| key != "after"));
        let rest = rest.query().unwrap_or_default().to_owned();
        Ok(Self { since, until, descending, limit, filter, after: get("after").map(str::to_owned), rest })
    }

    const fn is_polling(&self) -> bool {
        self.until.is_none() && !self.descending
    }

    fn takes(&self, entry: &LogEntry, now: OffsetDateTime) -> bool {
        entry.published >= now - RETENTION && self.filter.as_ref().is_none_or(|filter| filter.matches(entry))
    }
}

/// Responds with a page of events, with its links in the headers.
pub(super) fn list(
    org: &Org,
    url: &str,
    parameters: &[(String, String)],
    headers: &mut HeaderMap,
) -> Result<String, Refusal> {
    let now = org.now();
    let query = Query::parse(parameters, now)?;
    let place = query.after.as_deref().map(|token| org.links.read(token, &query.rest, org.options.link_lifetime, now));
    let place = place.transpose().map_err(|rule| Refusal::validation(&format!("after: {rule}")))?;
    let (page, next) = org.log.with(|entries| {
        if query.is_polling() { polled(&query, place, entries, now) } else { bounded(org, &query, place, entries, now) }
    });
    let after = query.after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
    let mut links = vec![("self", format!("{url}?{}{after}", query.rest))];
    if let Some(next) = next {
        links.push(("next", format!("{url}?{}&after={}", query.rest, org.links.token(next, &query.rest, now))));
    }
    link::tell(headers, &links, org.options.joined_links);
    Ok(page)
}

/// Returns a page in the order of the log.
fn polled(query: &Query, place: Option<Place>, entries: &[LogEntry], now: OffsetDateTime) -> (String, Option<Place>) {
    let start = place.map_or_else(
        || entries.partition_point(|entry| entry.persisted < query.since),
        |place| usize::try_from(place.at).unwrap_or(usize::MAX).min(entries.len()),
    );
    let mut page = Page::default();
    let mut at = start;
    while at < entries.len() && page.events < query.limit {
        if query.takes(&entries[at], now) {
            page.add(&entries[at]);
        }
        at += 1;
    }
    (page.json(), Some(Place { at: i128::try_from(at).unwrap_or(i128::MAX), then: 0 }))
}

/// Returns a page in the order in which events happened, or in reverse.
fn bounded(
    org: &Org,
    query: &Query,
    place: Option<Place>,
    entries: &[LogEntry],
    now: OffsetDateTime,
) -> (String, Option<Place>) {
    let until = query.until.unwrap_or(now);
    let key = |index: usize, entry: &LogEntry| (entry.published.unix_timestamp_nanos(), index as u64);
    let mut found: Vec<_> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| (query.since..until).contains(&entry.published))
        .filter(|(_, entry)| entry.persisted + org.options.bounded_delay <= now && query.takes(entry, now))
        .map(|(index, entry)| (key(index, entry), entry))
        .filter(|(key, _)| {
            place.is_none_or(|Place { at, then }| if query.descending { *key < (at, then) } else { *key > (at, then) })
        })
        .collect();
    found.sort_unstable_by_key(|(key, _)| *key);
    if query.descending {
        found.reverse();
    }
    let mut page = Page::default();
    found.iter().take(query.limit).for_each(|(_, entry)| page.add(entry));
    let last = found.get(query.limit.wrapping_sub(1)).filter(|_| found.len() > query.limit);
    (page.json(), last.map(|((at, then), _)| Place { at: *at, then: *then }))
}

#[derive(Default)]
struct Page {
    events: usize,
    text: String,
}

impl Page {
    fn add(&mut self, entry: &LogEntry) {
        if self.events > 0 {
            self.text.push(',');
        }
        self.text.push_str(&entry.json);
        self.events += 1;
    }

    fn json(self) -> String {
        format!("[{}]", self.text)
    }
}
