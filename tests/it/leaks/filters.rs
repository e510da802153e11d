//! Random filters, and what they mean for an event, told without the code that is tested.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value, json};

use crate::leaks::world::{APPLICATIONS, INSTANCES, ORGS, SHARED, TYPES, WorldEvent, org_name};

/// A filter.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Orgs(Vec<usize>),
    Applications(Vec<usize>),
    Instances(Vec<String>),
    Types(Vec<&'static str>),
    Outcome(&'static str),
    Search(String),
    /// A person's id: the field, the target's place, the id.
    PersonId(&'static str, &'static str, String),
    /// A login, or a word in a person's names.
    PersonName(&'static str, &'static str, Value),
    All(Vec<Wanted>),
    Any(Vec<Wanted>),
    Not(Box<Wanted>),
}

const PEOPLE: [(&str, &str); 3] = [("admin", "/actor"), ("applicationUser", "/target/1"), ("user", "/target/2")];

fn some<T: Clone>(random: &mut StdRng, values: &[T]) -> Vec<T> {
    let number = random.random_range(0..=3.min(values.len()));
    values.sample(random, number).cloned().collect()
}

/// A number of a cell; there are a few more numbers than cells.
fn number(random: &mut StdRng) -> usize {
    random.random_range(0..44)
}

impl Wanted {
    pub(crate) fn random(random: &mut StdRng, depth: usize) -> Self {
        match random.random_range(0..if depth > 0 { 14 } else { 9 }) {
            0 => Self::Orgs(some(random, &(0..ORGS).collect::<Vec<_>>())),
            1 => Self::Applications(some(random, &(0..APPLICATIONS.len()).collect::<Vec<_>>())),
            2 | 3 => {
                let instances =
                    (0..ORGS * INSTANCES).map(|one| format!("0oaidx{}{}x", one / INSTANCES, one % INSTANCES));
                Self::Instances(some(random, &instances.chain([SHARED.to_owned()]).collect::<Vec<_>>()))
            }
            4 => Self::Types(some(random, &TYPES)),
            5 => Self::Outcome(if random.random_bool(0.5) { "SUCCESS" } else { "FAILURE" }),
            6 => {
                let canary = *["rowx", "perx", "detx"].choose(random).unwrap();
                let star = if random.random_bool(0.3) { "*" } else { "x" };
                Self::Search(format!("{canary}{}{star}", number(random)))
            }
            7 => {
                let (field, place) = *PEOPLE.choose(random).unwrap();
                let id = *["00uadmin", "0uaper", "00urowx"].choose(random).unwrap();
                let id = if id == "00urowx" { format!("{id}{}x", number(random)) } else { id.to_owned() };
                Self::PersonId(field, place, id)
            }
            8 => {
                let ((field, place), of) = (*PEOPLE.choose(random).unwrap(), number(random));
                let condition = match random.random_range(0..3) {
                    0 => json!({"alternateIds": [format!("USER.perx{of}x@acme.example"), format!("login.perx{of}x")]}),
                    1 => json!({"search": format!("perx{of}x")}),
                    _ => json!({"search": "perx*"}),
                };
                Self::PersonName(field, place, condition)
            }
            9 | 10 => Self::Not(Box::new(Self::random(random, depth - 1))),
            11 => Self::All((0..random.random_range(0..3)).map(|_| Self::random(random, depth - 1)).collect()),
            _ => Self::Any((0..random.random_range(0..4)).map(|_| Self::random(random, depth - 1)).collect()),
        }
    }

    /// The filter as a client writes it.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Orgs(orgs) => json!({"orgs": orgs.iter().map(|org| org_name(*org)).collect::<Vec<_>>()}),
            Self::Applications(known) => {
                json!({"applications": known.iter().map(|one| APPLICATIONS[*one]).collect::<Vec<_>>()})
            }
            Self::Instances(ids) => json!({"applicationInstances": ids}),
            Self::Types(types) => json!({"eventTypes": types}),
            Self::Outcome(outcome) => json!({"outcomes": [outcome]}),
            Self::Search(text) => json!({"search": text}),
            Self::PersonId(field, _, id) => Map::from_iter([((*field).to_owned(), json!({"oktaIds": [id]}))]).into(),
            Self::PersonName(field, _, condition) => Map::from_iter([((*field).to_owned(), condition.clone())]).into(),
            Self::All(parts) => json!({"and": parts.iter().map(Self::json).collect::<Vec<_>>()}),
            Self::Any(parts) => json!({"or": parts.iter().map(Self::json).collect::<Vec<_>>()}),
            Self::Not(part) => json!({"not": part.json()}),
        }
    }

    /// Returns true if the filter asks for names of people.
    pub(crate) fn asks_for_names(&self) -> bool {
        match self {
            Self::PersonName(..) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_for_names),
            Self::Not(part) => part.asks_for_names(),
            _ => false,
        }
    }

    /// Returns true if an event matches. A reader without the right to see names passes `with_names` as false.
    pub(crate) fn matches(&self, event: &WorldEvent, with_names: bool) -> bool {
        let text = |place: &str| event.raw.pointer(place).and_then(Value::as_str);
        let of_person = |place: &str| [text(&format!("{place}/alternateId")), text(&format!("{place}/displayName"))];
        match self {
            Self::Orgs(orgs) => orgs.contains(&event.org),
            Self::Applications(known) => {
                let name = text("/debugContext/debugData/appname");
                known.iter().any(|one| name == Some(APPLICATIONS[*one]))
            }
            Self::Instances(ids) => {
                ids.iter().any(|id| text("/target/0/type") == Some("AppInstance") && text("/target/0/id") == Some(id))
            }
            Self::Types(types) => types.contains(&event.event_type),
            Self::Outcome(outcome) => text("/outcome/result") == Some(outcome),
            Self::Search(word) => {
                let mut texts =
                    vec![text("/displayMessage"), text("/target/0/alternateId"), text("/target/0/displayName")];
                if with_names {
                    texts.extend(PEOPLE.iter().flat_map(|(_, place)| of_person(place)));
                }
                has_word(&texts, word)
            }
            Self::PersonId(_, place, id) => text(&format!("{place}/id")) == Some(id),
            Self::PersonName(_, place, condition) => match (&condition["alternateIds"], condition["search"].as_str()) {
                (_, Some(word)) => has_word(&of_person(place), word),
                (ids, None) => {
                    let mut ids = ids.as_array().unwrap().iter().filter_map(Value::as_str);
                    ids.any(|id| of_person(place)[0].is_some_and(|own| own.eq_ignore_ascii_case(id)))
                }
            },
            Self::All(parts) => parts.iter().all(|part| part.matches(event, with_names)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(event, with_names)),
            Self::Not(part) => !part.matches(event, with_names),
        }
    }
}

fn has_word(texts: &[Option<&str>], word: &str) -> bool {
    let words = texts.iter().flatten().flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric()));
    let words: Vec<_> = words.map(str::to_lowercase).collect();
    match word.strip_suffix('*') {
        Some(start) => words.iter().any(|own| own.starts_with(start)),
        None => words.iter().any(|own| own == word),
    }
}
