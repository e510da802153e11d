//! The words of events, by which `search` finds them. This module alone splits texts into words, for the index and for
//! live subscriptions.

use std::collections::BTreeMap;

use super::{EntityColumns, EventColumn, Occurrence};

/// The part of an event in which a word occurs. Each part is a weight of PostgreSQL's text search, A to D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The admin's names.
    Admin,
    /// The user's names.
    User,
    /// The application user's names.
    ApplicationUser,
    /// The message and the application's names.
    Elsewhere,
}

impl Place {
    const ALL: [Self; 4] = [Self::Admin, Self::User, Self::ApplicationUser, Self::Elsewhere];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of places.
type Places = u8;

/// The maximum length of a word in characters.
const MAX_WORD_LENGTH: usize = 64;

/// The maximum number of words of an event. Together with [`MAX_WORD_LENGTH`], this keeps far below PostgreSQL's limits of
/// 2 kB for a word and 1 MB for all words.
const MAX_WORDS: usize = 1000;

/// The words of an event and the places of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(BTreeMap<String, Places>);

impl Words {
    /// Returns the words of an event's message, names and alternate ids.
    pub fn of(occurrence: &Occurrence) -> Self {
        let mut words = Self::default();
        let entities = [
            (EntityColumns::ADMIN, Place::Admin),
            (EntityColumns::USER, Place::User),
            (EntityColumns::APPLICATION_USER, Place::ApplicationUser),
            (EntityColumns::APPLICATION, Place::Elsewhere),
        ];
        for (columns, place) in entities {
            words.add(occurrence.text(columns.alternate_id), place);
            words.add(occurrence.text(columns.display_name), place);
        }
        words.add(occurrence.text(EventColumn::Message), Place::Elsewhere);
        words
    }

    fn add(&mut self, text: Option<&str>, place: Place) {
        for (word, _) in split(text.unwrap_or_default()) {
            if let Some(places) = self.0.get_mut(&word) {
                *places |= place.bit();
            } else if self.0.len() < MAX_WORDS {
                self.0.insert(word, place.bit());
            }
        }
    }

    /// Returns each word with its places, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = Place> + Clone)> {
        self.0.iter().map(|(word, places)| {
            (word.as_str(), Place::ALL.into_iter().filter(move |place| places & place.bit() != 0))
        })
    }
}

/// The words of a search, which an event must all contain. A word that ends in `*` matches every word with that prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Search {
    words: Vec<(String, bool)>,
    /// The only place in which words are looked for; None for every place.
    place: Option<Place>,
}

impl Search {
    /// The maximum number of words.
    pub const MAX_WORDS: usize = 20;

    /// Parses a search; None if it has no words.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words: Vec<_> = split(text).collect();
        words.sort();
        words.dedup();
        (!words.is_empty()).then_some(Self { words, place: None })
    }

    /// Returns the search of the same words in texts that are not of people.
    #[must_use]
    pub fn not_of_people(self) -> Self {
        Self { place: Some(Place::Elsewhere), ..self }
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns true if there are no words, which [`Search::parse`] rules out.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns true if an event contains all words, in one place or, without one, in any place.
    pub fn matches(&self, words: &Words, place: Option<Place>) -> bool {
        let places = place.or(self.place).map_or(Places::MAX, Place::bit);
        self.words.iter().all(|(word, is_prefix)| {
            if *is_prefix {
                let from_there = words.0.range(word.clone()..);
                from_there.take_while(|(found, _)| found.starts_with(word)).any(|(_, found)| found & places != 0)
            } else {
                words.0.get(word).is_some_and(|found| found & places != 0)
            }
        })
    }

    /// Returns an equivalent query of PostgreSQL's text search.
    pub fn to_query(&self, place: Option<Place>) -> String {
        let weight = match place.or(self.place) {
            Some(Place::Admin) => "A",
            Some(Place::User) => "B",
            Some(Place::ApplicationUser) => "C",
            Some(Place::Elsewhere) => "D",
            None => "",
        };
        let terms = self.words.iter().map(|(word, is_prefix)| {
            let star = if *is_prefix { "*" } else { "" };
            let marks = if star.len() + weight.len() > 0 { format!(":{star}{weight}") } else { String::new() };
            format!("'{word}'{marks}")
        });
        terms.collect::<Vec<_>>().join(" & ")
    }
}

/// Splits a text into words in lower case, each with true if a `*` follows it.
fn split(text: &str) -> impl Iterator<Item = (String, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(char::is_alphanumeric)?;
        rest = &rest[start..];
        let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        // Lower case may add characters that are not letters, so the length is limited after the conversion.
        let word = word.chars().flat_map(char::to_lowercase).filter(|letter| letter.is_alphanumeric());
        Some((word.take(MAX_WORD_LENGTH).collect(), after.starts_with('*')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Words {
        Words::of(&Occurrence::of_type("a.b").with(&[
            (EventColumn::AdminAlternateId, "ada@acme.example"),
            (EventColumn::AdminDisplayName, "Ada Ünal"),
            (EventColumn::UserAlternateId, "grace"),
            (EventColumn::UserDisplayName, "Grace"),
            (EventColumn::Message, "Sync Ada's user"),
        ]))
    }

    #[test]
    fn words_are_found_whole_or_by_their_start_where_they_stand() {
        let matches =
            |text: &str, place: Option<Place>| Search::parse(text).map(|search| search.matches(&event(), place));
        for (text, place, expected) in [
            ("ada", None, true),
            ("ADA sync", None, true),
            ("ada@acme.example", None, true),
            ("ad", None, false),
            ("ad*", None, true),
            ("ad*", Some(Place::User), false),
            ("ünal", Some(Place::Admin), true),
            ("ÜN*", None, true),
            ("grace", Some(Place::User), true),
            ("grace", Some(Place::Admin), false),
            ("ada", Some(Place::Elsewhere), true),
            ("ada nobody", None, false),
        ] {
            assert_eq!(matches(text, place), Some(expected), "{text} {place:?}");
        }
        for nothing in ["", " ", "***", "-- '"] {
            assert_eq!(Search::parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn postgres_looks_for_them() {
        let search = Search::parse("grace ad*").unwrap();
        assert_eq!(search.to_query(None), "'ad':* & 'grace'");
        assert_eq!(search.to_query(Some(Place::User)), "'ad':*B & 'grace':B");
    }

    #[test]
    fn words_are_bounded() {
        let mut words = Words::default();
        let many: Vec<_> = (0..2000).map(|word| format!("w{word}")).collect();
        words.add(Some(&many.join(" ")), Place::Elsewhere);
        assert_eq!(words.0.len(), MAX_WORDS);
        assert_eq!(split(&"x".repeat(1000)).next().map(|(word, _)| word.len()), Some(MAX_WORD_LENGTH));
    }
}
