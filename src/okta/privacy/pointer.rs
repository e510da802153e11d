//! Pointers to members of an event: JSON pointers, in which `*` stands for every item of a list or member of an object.

use std::fmt;

/// A pointer to members of an event, such as `/client/ipAddress` or `/target/*/alternateId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPointer(Vec<PointerStep>);

/// A step of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PointerStep {
    /// The member or item of this name.
    One(String),
    /// Every member or item.
    Each,
}

/// The reason why a text is no pointer to what may be removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerFault {
    /// The text is no JSON pointer.
    #[error("expected a JSON pointer into an event, such as \"/client/ipAddress\" or \"/target/*/alternateId\"")]
    NoPointer,
    /// sluice needs what the pointer is about.
    #[error("sluice needs {0} of an event: point to something below or beside it")]
    Needed(&'static str),
}

/// The members that sluice needs of an event: its identity, its type, its time, and the ids and types of its targets.
const NEEDED: [(&[&str], &str); 5] = [
    (&["uuid"], "uuid"),
    (&["published"], "published"),
    (&["eventType"], "eventType"),
    (&["target", "*", "id"], "the ids of targets"),
    (&["target", "*", "type"], "the types of targets"),
];

impl EventPointer {
    /// Parses a pointer.
    ///
    /// # Errors
    /// The text is no pointer, or is about something that sluice needs.
    pub fn parse(text: &str) -> Result<Self, PointerFault> {
        let steps = text.strip_prefix('/').filter(|steps| !steps.is_empty()).ok_or(PointerFault::NoPointer)?;
        let steps = steps.split('/').map(PointerStep::parse).collect::<Option<Vec<_>>>();
        let steps = steps.ok_or(PointerFault::NoPointer)?;
        match NEEDED.iter().find(|(needed, _)| is_about(&steps, needed)) {
            Some((_, what)) => Err(PointerFault::Needed(what)),
            None => Ok(Self(steps)),
        }
    }

    pub(super) fn steps(&self) -> &[PointerStep] {
        &self.0
    }
}

impl fmt::Display for EventPointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            PointerStep::One(name) => write!(formatter, "/{}", name.replace('~', "~0").replace('/', "~1")),
            PointerStep::Each => formatter.write_str("/*"),
        })
    }
}

impl PointerStep {
    /// Parses a step; None if it has a `~` that stands for nothing.
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Each);
        }
        let is_escape = |rest: &str| rest.starts_with(['0', '1']);
        let are_escapes = text.split('~').skip(1).all(is_escape);
        are_escapes.then(|| Self::One(text.replace("~1", "/").replace("~0", "~")))
    }

    /// Returns true for a member or an item of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        match self {
            Self::One(own) => own == name,
            Self::Each => true,
        }
    }
}

/// Returns true if a pointer removes a place or something around it. One object in the place of a list counts as its item.
fn is_about(steps: &[PointerStep], place: &[&str]) -> bool {
    let is_within = |place: &[&str]| {
        let mut pairs = steps.iter().zip(place);
        steps.len() <= place.len()
            && pairs.all(|(step, name)| {
                let is_item = matches!(step, PointerStep::One(own) if own.parse::<usize>().is_ok());
                step.is(name) || *name == "*" && is_item
            })
    };
    let as_object: Vec<_> = place.iter().copied().filter(|name| *name != "*").collect();
    is_within(place) || is_within(&as_object)
}
