//! Event types of Okta's catalogue, and which of them Okta offers to event hooks.

use std::sync::LazyLock;

/// The catalogue: one event type on each line, followed by `hook` if Okta offers the type to event hooks.
const CATALOGUE: &str = include_str!("event_types.txt");

/// An event type in Okta's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownEventType {
    /// The name of the type.
    pub name: &'static str,
    /// True if Okta offers the type to event hooks. Events of other types come through the System Log only.
    pub is_offered_to_hooks: bool,
}

/// The documented event types about applications, sorted by name. Okta may add types at any time.
pub static KNOWN_EVENT_TYPES: LazyLock<Vec<KnownEventType>> = LazyLock::new(|| {
    let lines = CATALOGUE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| match line.strip_suffix(" hook") {
            Some(name) => KnownEventType { name, is_offered_to_hooks: true },
            None => KnownEventType { name: line, is_offered_to_hooks: false },
        })
        .collect()
});

/// The names of the documented event types that Okta offers to event hooks.
pub static OFFERED_TO_HOOKS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    KNOWN_EVENT_TYPES.iter().filter(|known| known.is_offered_to_hooks).map(|known| known.name).collect()
});

/// Returns the pattern that a user probably means by the incomplete name of an event type: `application.provision.*`
/// for `application.provision`. None for a documented type, and for a text with which no documented type begins.
pub fn family_meant_by(text: &str) -> Option<String> {
    let text = text.trim_end_matches('.');
    let first = KNOWN_EVENT_TYPES.partition_point(|known| known.name < text);
    let rests = KNOWN_EVENT_TYPES.iter().skip(first).map_while(|known| known.name.strip_prefix(text));
    let mut rests = rests.peekable();
    if text.is_empty() || rests.peek()?.is_empty() {
        return None;
    }
    Some(if rests.all(|rest| rest.starts_with('.')) { format!("{text}.*") } else { format!("{text}*") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_a_sorted_list_of_names() {
        let is_name = |name: &str| {
            name.contains('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let odd: Vec<_> = KNOWN_EVENT_TYPES.iter().filter(|known| !is_name(known.name)).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert!(KNOWN_EVENT_TYPES.is_sorted_by(|one, other| one.name < other.name));
        assert!(KNOWN_EVENT_TYPES.len() > 400);
    }

    #[test]
    fn the_catalogue_knows_what_hooks_can_bring() {
        for name in ["application.provision.user.sync", "system.import.start", "system.import.roadblock"] {
            assert!(OFFERED_TO_HOOKS.contains(&name), "{name}");
        }
        for name in ["application.provision.user.deactivate", "application.integration.rate_limit_exceeded"] {
            let known = KNOWN_EVENT_TYPES.iter().find(|known| known.name == name).unwrap();
            assert!(!known.is_offered_to_hooks, "{name}");
        }
    }

    #[test]
    fn the_beginning_of_event_types_means_a_family() {
        for (text, family) in [
            ("application.provision", Some("application.provision.*")),
            ("application.provision.", Some("application.provision.*")),
            ("application.prov", Some("application.prov*")),
            ("app", Some("app*")),
            // An event type whose name begins the names of others means itself.
            ("app.user_management", None),
            ("application.provision.user.sync", None),
            // Okta has many types that this catalogue lacks.
            ("user.session.start", None),
            ("", None),
        ] {
            assert_eq!(family_meant_by(text).as_deref(), family, "{text}");
        }
    }
}
