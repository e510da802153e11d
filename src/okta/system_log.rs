//! The System Log API, `GET /api/v1/logs`: filters and pages.

use sha2::{Digest as _, Sha256};

use super::delivery::MalformedBody;
use super::json::RawJson;
use crate::event::EventTypePattern;

/// The maximum number of events on a page.
pub const LOG_PAGE: usize = 1000;

/// The type of the events that report failed deliveries of event hooks.
pub const HOOK_DELIVERY: &str = "event_hook.delivery";

/// The prefix of the types of events that report changes of the catalogue of applications.
pub const LIFECYCLE: &str = "application.lifecycle.";

/// A filter of System Log events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    scim: Option<String>,
}

impl LogFilter {
    /// Creates a filter of events of these types, of failed deliveries, and of changes of applications.
    pub fn new(patterns: &[EventTypePattern]) -> Self {
        if patterns.iter().any(|pattern| matches!(pattern, EventTypePattern::Prefix(prefix) if prefix.is_empty())) {
            return Self { scim: None };
        }
        let mut terms: Vec<_> = patterns.iter().map(term).collect();
        terms.push(term(&EventTypePattern::Exact(HOOK_DELIVERY.to_owned())));
        terms.push(term(&EventTypePattern::Prefix(LIFECYCLE.to_owned())));
        terms.sort_unstable();
        terms.dedup();
        Self { scim: Some(terms.join(" or ")) }
    }

    /// Returns the filter in SCIM's filter language; None if every event matches.
    pub fn scim(&self) -> Option<&str> {
        self.scim.as_deref()
    }

    /// Returns a digest of the filter, by which two filters can be compared.
    pub fn digest(&self) -> String {
        let digest = Sha256::digest(self.scim.as_deref().unwrap_or_default());
        digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

fn term(pattern: &EventTypePattern) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    match pattern {
        EventTypePattern::Exact(name) => format!("eventType eq \"{}\"", quoted(name)),
        EventTypePattern::Prefix(prefix) => format!("eventType sw \"{}\"", quoted(prefix)),
    }
}

/// Returns the events on a page, byte for byte.
///
/// # Errors
/// The JSON is not a list.
pub fn read_log_page(json: RawJson<'_>) -> Result<Vec<RawJson<'_>>, MalformedBody> {
    json.items().ok_or(MalformedBody::Shape("a list of events"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> LogFilter {
        LogFilter::new(&patterns.iter().filter_map(|text| EventTypePattern::parse(text)).collect::<Vec<_>>())
    }

    #[test]
    fn the_filter_has_the_orgs_types_and_what_sluice_itself_needs() {
        let scim = filter(&["application.provision.user.*", "user.session.start"]);
        assert_eq!(
            scim.scim().unwrap(),
            "eventType eq \"event_hook.delivery\" or eventType eq \"user.session.start\" or \
             eventType sw \"application.lifecycle.\" or eventType sw \"application.provision.user.\""
        );
        assert_eq!(filter(&["a", "*"]).scim(), None);
        assert!(filter(&["a\"b"]).scim().unwrap().contains(r#"eq "a\"b""#));
    }

    #[test]
    fn the_digest_is_of_what_is_asked_for() {
        assert_eq!(filter(&["a", "b"]).digest(), filter(&["b", "a", "a"]).digest());
        assert_ne!(filter(&["a"]).digest(), filter(&["a*"]).digest());
        assert_ne!(filter(&["a"]).digest(), filter(&["*"]).digest());
    }
}
