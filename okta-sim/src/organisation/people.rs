//! The people of an organisation, who are fictional.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::event::Entity;
use crate::random::okta_id;

/// A person of the organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The id of the Okta user, `00u…`.
    pub id: String,
    /// The Okta login: an address at a `.example` domain.
    pub login: String,
    /// The first name.
    pub first_name: &'static str,
    /// The last name.
    pub last_name: &'static str,
}

impl Person {
    /// Returns the whole name.
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// Returns the person as an actor or target.
    pub(super) fn entity(&self) -> Entity {
        Entity {
            id: self.id.clone(),
            kind: "User",
            alternate_id: self.login.clone(),
            display_name: self.name(),
            detail_entry: None,
            change_details: None,
        }
    }
}

/// A group of people.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: &'static str,
}

const FIRST_NAMES: [&str; 24] = [
    "Amara", "Björn", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ingrid", "Jamal", "Keiko", "Liam", "Mei",
    "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Sven", "Tomoko", "Uma", "Viktor", "Wanjiru", "Zoë",
];

const LAST_NAMES: [&str; 26] = [
    "Abara", "Sjöberg", "Castillo", "Duval", "Eriksen", "Fontaine", "Gupta", "Haddad", "Ivanova", "Jensen", "Kowalska",
    "Lindholm", "Moreau", "Nakamura", "Okafor", "Petrov", "Quispe", "Romano", "Sato", "Tanaka", "Ueda", "Vasquez",
    "Weber", "Yilmaz", "Zhang", "O'Neill",
];

const DEPARTMENTS: [&str; 8] =
    ["Everyone", "Engineering", "Sales EMEA", "Sales Americas", "Finance", "Support", "Contractors", "IT Operations"];

/// Generates people with different logins.
pub(super) fn people(random: &mut ChaCha8Rng, count: u32) -> Vec<Person> {
    let names = FIRST_NAMES.len() * LAST_NAMES.len();
    (0..count as usize)
        .map(|number| {
            // Both lists advance at once. Their lengths differ, so neighbours have neither name in common.
            let round = number / names;
            let first_name = FIRST_NAMES[number % FIRST_NAMES.len()];
            let last_name = LAST_NAMES[(number + number / FIRST_NAMES.len()) % LAST_NAMES.len()];
            let nth = if round == 0 { String::new() } else { (round + 1).to_string() };
            let login = format!("{}.{}{nth}@acme.example", in_ascii(first_name), in_ascii(last_name));
            Person { id: okta_id("00u", random.random()), login, first_name, last_name }
        })
        .collect()
}

/// Generates the groups of the departments.
pub(super) fn groups(random: &mut ChaCha8Rng) -> Vec<Group> {
    DEPARTMENTS.iter().map(|name| Group { id: okta_id("00g", random.random()), name }).collect()
}

/// Returns the ASCII form of a name, for e-mail addresses.
fn in_ascii(name: &str) -> String {
    let letter = |letter: char| match letter {
        'ö' => Some('o'),
        'ë' => Some('e'),
        other => other.is_ascii_alphabetic().then(|| other.to_ascii_lowercase()),
    };
    name.chars().filter_map(letter).collect()
}
