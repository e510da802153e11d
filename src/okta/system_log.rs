//! The System Log API, `GET /api/v1/logs`: what is asked for, and what a page has.

use sha2::{Digest as _, Sha256};

use super::delivery::{DeliveryError, read_list};
use super::json::RawJson;
use crate::event::EventTypePattern;

/// The most events of a page.
pub const LOG_PAGE: usize = 1000;

/// What Okta tells of deliveries that failed.
pub const HOOK_DELIVERY: &str = "event_hook.delivery";

/// What tells that the catalogue of applications has changed.
pub const LIFECYCLE: &str = "application.lifecycle.";

/// Which events of a System Log are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    scim: Option<String>,
}

impl LogFilter {
    /// Events of these types, and those that tell of failed deliveries and of applications.
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

    /// The filter in SCIM's language; none where every event is asked for.
    pub fn scim(&self) -> Option<&str> {
        self.scim.as_deref()
    }

    /// What tells it from another one.
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

/// Reads a page: its events, each byte for byte as it came.
///
/// # Errors
/// It is no list.
pub fn read_log_page(json: RawJson<'_>) -> Result<Vec<RawJson<'_>>, DeliveryError> {
    read_list(json)
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
