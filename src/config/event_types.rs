//! The event types that an org keeps: the default, and warnings about types that event hooks never deliver.

use super::settings::OrgSettings;
use crate::event::EventTypePattern;
use crate::okta::{KNOWN_EVENT_TYPES, KnownEventType, family_meant_by};

/// The event types that an org keeps by default: events of users in applications, and events that explain failures.
pub(super) const SYNC_FAMILY: [&str; 11] = [
    "application.provision.*",
    "application.user_membership.*",
    "application.integration.*",
    "application.configuration.*",
    "application.lifecycle.*",
    "app.app_instance.provision_sync_job.*",
    "app.user_management*",
    "app.realtimesync.*",
    "group.application_assignment.*",
    "system.import.*",
    "user.lifecycle.*",
];

/// Returns a warning about a name that is only the beginning of documented event types.
pub(super) fn warning_of_prefix(pattern: &EventTypePattern) -> Option<String> {
    let name = pattern.exact()?;
    let family = family_meant_by(name)?;
    Some(format!("{name:?} is not a known event type, but the beginning of some: write {family:?} for all of them"))
}

/// The documented event types that an org keeps.
struct KeptTypes {
    number: usize,
    /// The types that Okta does not offer to event hooks.
    by_system_log: Vec<KnownEventType>,
}

impl KeptTypes {
    fn of(org: &OrgSettings) -> Self {
        let kept = |known: &&KnownEventType| org.event_types.iter().any(|pattern| pattern.matches(known.name));
        let kept: Vec<_> = KNOWN_EVENT_TYPES.iter().filter(kept).copied().collect();
        let by_system_log = kept.iter().filter(|known| !known.is_offered_to_hooks).copied().collect();
        Self { number: kept.len(), by_system_log }
    }

    /// Describes the types that never come by event hooks; None if there are none.
    fn describe(&self) -> Option<String> {
        let sync = self.by_system_log.iter().find(|known| known.name.starts_with("application.provision.user.d"));
        let example = sync.or(self.by_system_log.first())?.name;
        let (number, all) = (self.by_system_log.len(), self.number);
        Some(format!(
            "of the {all} known event types that it keeps, {number} never come by event hooks, such as {example}"
        ))
    }
}

/// Returns a warning about an org whose System Log is not read.
pub(super) fn warning_of_hooks(name: &str, org: &OrgSettings) -> Option<String> {
    if org.api.is_some() {
        return None;
    }
    let kept = KeptTypes::of(org).describe().map(|types| format!("; {types}")).unwrap_or_default();
    Some(format!("org {name} has no [orgs.api]: events that its hooks miss are lost{kept} (see docs/okta.md)"))
}

/// Returns a note about the types that only an org's System Log provides; None if it is not read.
pub(super) fn note_of_system_log(name: &str, org: &OrgSettings) -> Option<String> {
    org.api.as_ref()?;
    Some(format!("org {name}: {}; the System Log provides them", KeptTypes::of(org).describe()?))
}
