//! The event types that an org keeps: the default, and warnings about types that hooks never bring.

use super::settings::Org;
use crate::event::EventTypePattern;
use crate::okta::{KNOWN_EVENT_TYPES, KnownEventType, family_meant_by};

/// The event types that an org keeps by default: those of users in applications, and those that explain failures.
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

/// Returns a warning about an event type that is only the beginning of known ones.
pub(super) fn warning_of_prefix(pattern: &EventTypePattern) -> Option<String> {
    let name = pattern.exact()?;
    let family = family_meant_by(name)?;
    Some(format!("{name:?} is no event type that is known, but others begin so: write {family:?} for all of them"))
}

/// The known event types that an org keeps.
struct KeptTypes {
    number: usize,
    /// The types that event hooks cannot bring.
    by_system_log: Vec<KnownEventType>,
}

impl KeptTypes {
    fn of(org: &Org) -> Self {
        let kept = |known: &&KnownEventType| org.event_types.iter().any(|pattern| pattern.matches(known.name));
        let kept: Vec<_> = KNOWN_EVENT_TYPES.iter().filter(kept).copied().collect();
        let by_system_log = kept.iter().filter(|known| !known.is_offered_to_hooks).copied().collect();
        Self { number: kept.len(), by_system_log }
    }

    /// Returns how many of the types never come by hooks, with an example.
    fn told(&self) -> Option<String> {
        let sync = self.by_system_log.iter().find(|known| known.name.starts_with("application.provision.user.d"));
        let example = sync.or(self.by_system_log.first())?.name;
        let (number, all) = (self.by_system_log.len(), self.number);
        Some(format!(
            "of the {all} known event types that it keeps, {number} never come by event hooks, such as {example}"
        ))
    }
}

/// Returns a warning about an org whose System Log is not read.
pub(super) fn warning_of_hooks(name: &str, org: &Org) -> Option<String> {
    if org.api.is_some() {
        return None;
    }
    let kept = KeptTypes::of(org).told().map(|told| format!("; {told}")).unwrap_or_default();
    Some(format!("org {name} has no [orgs.api]: what its event hooks lose is not read{kept} (see docs/okta.md)"))
}

/// Returns what the System Log of an org brings that hooks cannot; None where it is not read.
pub(super) fn note_of_system_log(name: &str, org: &Org) -> Option<String> {
    org.api.as_ref()?;
    Some(format!("org {name}: {}; the System Log brings them", KeptTypes::of(org).told()?))
}
