//! The cases of `bench read`: pages at several places of the log, aggregates, and pages of filters with lists.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::aggregate::NAMES;
use super::lists::CASES;

/// How many instances the pages are of: the most popular ones, each asked for as often as things happen in it.
pub(super) const POPULAR: usize = 10;

/// Events on a page.
pub(super) const PAGE: usize = 50;

/// How many pages deep a deep one is, where there are so many.
const DEEP: usize = 5_000;

/// Where in the log a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The first page of an instance.
    First,
    /// 5,000 pages into an instance, or nine tenths of the way where it has fewer.
    Deep,
    /// The first page of the bare time line.
    Line,
    /// As deep into that.
    LineDeep,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// sluice.
    Gateway,
    /// sluice over another log.
    Beside,
    /// Another build of sluice over a log with the same events.
    Against,
    /// A server by hand in Node.
    Mercurius,
    /// A server by hand in Rust, with async-graphql-axum.
    AsyncGraphql,
    /// The gateway's SQL by pgbench, or from one connection.
    Pgbench,
    /// The same question in SQL, from one connection.
    Hand,
}

/// One thing that every round measures, of every peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// Pages.
    Page {
        /// Which.
        place: Place,
        /// Connections that ask at once.
        connections: usize,
    },
    /// An aggregate over the log, from one connection.
    Aggregate(&'static str),
    /// The first page of a filter with lists, from one connection.
    List(&'static str),
}

/// A list and how deep in it a page is: what one request of a place asks for, and how often.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spot {
    /// The instance; None for all events.
    pub(super) instance: Option<String>,
    /// How many pages come before it.
    pub(super) depth: usize,
    /// Asked so often, relative to the place's others.
    pub(super) weight: i64,
}

const PAGES: [(Place, usize); 9] = [
    (Place::First, 1),
    (Place::First, 16),
    (Place::First, 64),
    (Place::Deep, 1),
    (Place::Deep, 16),
    (Place::Line, 1),
    (Place::Line, 16),
    (Place::LineDeep, 1),
    (Place::LineDeep, 16),
];

/// A question for pages.
pub(super) const fn page(place: Place, connections: usize) -> Question {
    Question::Page { place, connections }
}

impl Place {
    /// Who is asked there.
    pub(super) const fn peers(self) -> &'static [Peer] {
        match self {
            Self::First | Self::Deep => {
                &[Peer::Pgbench, Peer::Beside, Peer::Gateway, Peer::Mercurius, Peer::AsyncGraphql]
            }
            Self::Line | Self::LineDeep => &[Peer::Pgbench, Peer::Gateway],
        }
    }

    /// Whether others come before the page.
    pub(super) const fn is_deep(self) -> bool {
        matches!(self, Self::Deep | Self::LineDeep)
    }

    /// The places of some questions.
    pub(super) fn asked_in(questions: &[Question]) -> BTreeSet<Self> {
        let places = questions.iter().filter_map(|question| match question {
            Question::Page { place, .. } => Some(*place),
            Question::Aggregate(_) | Question::List(_) => None,
        });
        places.collect()
    }

    /// What is asked for there, given the popular instances and how many events each has, and how many there are.
    pub(super) fn spots(self, popular: &[(String, i64)], events: usize) -> Vec<Spot> {
        // The limits on the depth make the deepest page a full page, too.
        let deepest = |events: usize| (events * 9 / 10 / PAGE).min(DEEP).min((events / PAGE).saturating_sub(1));
        let depth = |events: usize| if self.is_deep() { deepest(events) } else { 0 };
        match self {
            Self::Line | Self::LineDeep => vec![Spot { instance: None, depth: depth(events), weight: 1 }],
            Self::First | Self::Deep => {
                let spot = |(id, events): &(String, i64)| Spot {
                    instance: Some(id.clone()),
                    depth: depth(usize::try_from(*events).unwrap_or_default()),
                    weight: *events,
                };
                popular.iter().map(spot).collect()
            }
        }
    }
}

impl Question {
    /// The questions of a round: all of them, or only some.
    pub(super) fn selected(only: &[Self]) -> Vec<Self> {
        Self::all().filter(|question| only.is_empty() || only.contains(question)).collect()
    }

    /// At how many connections it asks for pages of a place; None where it does not.
    pub(super) fn connections_at(self, wanted: Place) -> Option<usize> {
        match self {
            Self::Page { place, connections } if place == wanted => Some(connections),
            _ => None,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let pages = PAGES.into_iter().map(|(place, connections)| page(place, connections));
        let lists = CASES.into_iter().map(|(name, _)| Self::List(name));
        pages.chain(NAMES.into_iter().map(Self::Aggregate)).chain(lists)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::First => "first",
            Self::Deep => "deep",
            Self::Line => "line",
            Self::LineDeep => "line-deep",
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Gateway => "gateway",
            Self::Beside => "other log",
            Self::Against => "other build",
            Self::Mercurius => "mercurius",
            Self::AsyncGraphql => "async-graphql",
            Self::Pgbench => "pgbench",
            Self::Hand => "by hand",
        })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { place, connections } => formatter.pad(&format!("{place}-{connections}")),
            Self::Aggregate(name) | Self::List(name) => formatter.pad(name),
        }
    }
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|question| question.to_string() == text).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(|question| question.to_string()).collect();
            format!("there is no such case; there are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_a_name() {
        for question in Question::all() {
            assert_eq!(question.to_string().parse(), Ok(question));
        }
        assert!("first-2".parse::<Question>().unwrap_err().contains("line-deep-16"));
    }

    #[test]
    fn deep_pages_are_full_ones() {
        let popular = [("a".to_owned(), 1_000_000), ("b".to_owned(), 2_000), ("c".to_owned(), 389)];
        let depths = |place: Place| place.spots(&popular, 1_700_000).iter().map(|spot| spot.depth).collect::<Vec<_>>();
        assert_eq!(depths(Place::First), [0, 0, 0]);
        assert_eq!(depths(Place::Deep), [5_000, 36, 6]);
        assert_eq!(depths(Place::LineDeep), [5_000]);
    }
}
