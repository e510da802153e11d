//! Patterns of event types: a name or a family.

use std::fmt;

/// An event type or a family of event types: `application.provision.user.*` matches every type with that prefix, and
/// `*` matches all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventTypePattern {
    /// The type with this name.
    Exact(String),
    /// All types with this prefix.
    Prefix(String),
}

impl EventTypePattern {
    /// Parses a pattern; None if it is empty or has a `*` before its end.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => Some(Self::Prefix(prefix.to_owned())),
            None if !text.is_empty() && !text.contains('*') => Some(Self::Exact(text.to_owned())),
            _ => None,
        }
    }

    /// Returns the name of a single type; None for a family.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Prefix(_) => None,
        }
    }

    /// Returns true if an event type matches.
    pub fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::Exact(name) => name == event_type,
            Self::Prefix(prefix) => event_type.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for EventTypePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => formatter.write_str(name),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_names() {
        let matches = |pattern: &str, name: &str| EventTypePattern::parse(pattern).map(|found| found.matches(name));
        assert_eq!(matches("*", "anything"), Some(true));
        assert_eq!(matches("application.provision.user.*", "application.provision.user.sync"), Some(true));
        assert_eq!(matches("application.provision.user.*", "application.provision.group.sync"), Some(false));
        assert_eq!(matches("app.user_management*", "app.user_management"), Some(true));
        assert_eq!(matches("user.session.start", "user.session.start.x"), Some(false));
        for bad in ["", "**", "a*b", "*.user"] {
            assert_eq!(EventTypePattern::parse(bad), None, "{bad:?}");
        }
    }
}
