//! The event types of an organisation, and their frequencies.

use Subject::{AppUser, Group, Instance, Label, SignIn};

/// A type of event.
#[derive(Debug)]
pub(super) struct EventType {
    /// Okta's name of the type.
    pub(super) name: &'static str,
    /// The display message.
    pub(super) message: &'static str,
    /// The subject of the event.
    pub(super) subject: Subject,
    /// The name before 2016.
    pub(super) legacy: Option<&'static str>,
    /// The name of a failure before 2016, if it differs.
    pub(super) legacy_of_failure: Option<&'static str>,
    /// The number of such events among 1,000.
    pub(super) weight: f64,
    /// The share that an admin causes in a browser; the others are jobs.
    pub(super) web: f64,
    /// The share of failures.
    pub(super) failures: f64,
    /// True if Okta offers the type to event hooks.
    pub(super) offered_to_hooks: bool,
}

/// The subject of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A user of an application instance.
    AppUser,
    /// A group to which an application instance is assigned.
    Group,
    /// An application instance.
    Instance,
    /// An application instance, whose label may change.
    Label,
    /// A person who signs in.
    SignIn,
}

impl EventType {
    /// Returns the last part of the URL path of the request that causes the event.
    pub(super) fn path(&self) -> &'static str {
        match self.subject {
            AppUser => "users",
            Group => "groups",
            Instance | Label | SignIn => "lifecycle",
        }
    }
}

const fn of(name: &'static str, message: &'static str, subject: Subject) -> EventType {
    EventType {
        name,
        message,
        subject,
        legacy: None,
        legacy_of_failure: None,
        weight: 10.0,
        web: 0.0,
        failures: 0.0,
        offered_to_hooks: true,
    }
}

/// The event types of the sync family.
pub(super) const SYNC_FAMILY: &[EventType] = &[
    EventType {
        legacy: Some("app.user_management.provision_user"),
        legacy_of_failure: Some("app.user_management.provision_user_failed"),
        weight: 560.0,
        failures: 0.08,
        ..of("application.provision.user.sync", "Sync user in external application", AppUser)
    },
    EventType {
        legacy: Some("app.user_management.push_profile_success"),
        legacy_of_failure: Some("app.user_management.push_profile_failure"),
        weight: 90.0,
        failures: 0.05,
        ..of("application.provision.user.push_profile", "Push user's profile to external application", AppUser)
    },
    EventType {
        legacy: Some("app.user_management.push_new_user"),
        legacy_of_failure: Some("app.api.error.create_user"),
        weight: 60.0,
        failures: 0.1,
        ..of("application.provision.user.push", "Push new user to external application", AppUser)
    },
    EventType {
        legacy: Some("app.user_management.deactivate_user"),
        legacy_of_failure: Some("app.api.error.deactivate_user"),
        weight: 40.0,
        failures: 0.05,
        offered_to_hooks: false,
        ..of("application.provision.user.deactivate", "Push user deactivation to external application", AppUser)
    },
    EventType {
        legacy: Some("app.user_management.reactivate_user"),
        legacy_of_failure: Some("app.api.error.reactivate_user"),
        weight: 10.0,
        failures: 0.05,
        ..of("application.provision.user.reactivate", "Push user reactivation in external application", AppUser)
    },
    EventType {
        legacy: Some("app.generic.provision.assign_user_to_app"),
        weight: 80.0,
        web: 0.4,
        ..of("application.user_membership.add", "Add user to application membership", AppUser)
    },
    EventType {
        legacy: Some("app.generic.provision.deactivate_user_from_app"),
        weight: 40.0,
        web: 0.4,
        ..of("application.user_membership.remove", "Remove user's application membership", AppUser)
    },
    EventType {
        legacy: Some("app.generic.config.app_user_property_update"),
        weight: 15.0,
        web: 0.5,
        ..of("application.user_membership.update", "Update user application property", AppUser)
    },
    EventType {
        legacy: Some("app.generic.config.app_username_update"),
        weight: 10.0,
        web: 0.8,
        offered_to_hooks: false,
        ..of("application.user_membership.change_username", "Change user's application username", AppUser)
    },
    EventType {
        legacy: Some("app.generic.import.started"),
        web: 0.1,
        ..of("system.import.start", "Import started", Instance)
    },
    EventType {
        legacy: Some("app.generic.import.complete"),
        failures: 0.05,
        ..of("system.import.complete", "Import process complete", Instance)
    },
    EventType {
        legacy: Some("app.generic.import.details.update_user"),
        weight: 20.0,
        offered_to_hooks: false,
        ..of("system.import.user.update", "Update user triggered by import process", AppUser)
    },
    EventType {
        legacy: Some("app.generic.import.details.add_group"),
        weight: 5.0,
        ..of("system.import.group.create", "Create group triggered by import process", Group)
    },
    EventType {
        legacy: Some("app.user_management.app_group_member_import.insert_success"),
        legacy_of_failure: Some("app.user_management.app_group_member_import.insert_failure"),
        failures: 0.05,
        ..of("app.user_management", "Import or delete member of an application group", AppUser)
    },
    EventType {
        weight: 5.0,
        ..of("app.user_management.user_group_import.upsert_success", "Import the group from app", Group)
    },
    EventType { web: 0.9, ..of("group.application_assignment.add", "Add assigned application to group", Group) },
    EventType {
        weight: 5.0,
        web: 0.9,
        ..of("group.application_assignment.remove", "Remove assigned application from group", Group)
    },
    EventType {
        legacy: Some("app.generic.config.app_updated"),
        weight: 4.0,
        web: 1.0,
        ..of("application.lifecycle.update", "Update application", Label)
    },
];

/// Event types outside the sync family.
pub(super) const OUTSIDERS: &[EventType] = &[
    EventType {
        legacy: Some("core.user_auth.login_success"),
        legacy_of_failure: Some("core.user_auth.login_failed"),
        failures: 0.1,
        ..of("user.session.start", "User login to Okta", SignIn)
    },
    EventType {
        legacy: Some("core.user_auth.logout_success"),
        ..of("user.session.end", "User logout from Okta", SignIn)
    },
    EventType {
        legacy: Some("app.auth.sso"),
        failures: 0.02,
        ..of("user.authentication.sso", "User single sign on to app", SignIn)
    },
];
