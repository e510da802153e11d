//! Which event types Okta offers to event hooks.

/// Those of the sync family that it offers. The others come by the System Log only, such as
/// `application.provision.user.deactivate`.
pub const OFFERED_TO_HOOKS: [&str; 28] = [
    "app.user_management",
    "app.user_management.user_group_import.upsert_success",
    "application.lifecycle.activate",
    "application.lifecycle.create",
    "application.lifecycle.deactivate",
    "application.lifecycle.delete",
    "application.lifecycle.update",
    "application.provision.group_push.mapping.update.or.delete.failed.with.error",
    "application.provision.user.delete",
    "application.provision.user.delete.schedule",
    "application.provision.user.import_profile",
    "application.provision.user.push",
    "application.provision.user.push_profile",
    "application.provision.user.reactivate",
    "application.provision.user.remove_entitlements",
    "application.provision.user.remove_entitlements.schedule",
    "application.provision.user.sync",
    "application.user_membership.add",
    "application.user_membership.change_password",
    "application.user_membership.remove",
    "application.user_membership.update",
    "group.application_assignment.add",
    "group.application_assignment.remove",
    "group.application_assignment.update",
    "system.import.complete",
    "system.import.entitlement.upper_limit_exceeded",
    "system.import.group.create",
    "system.import.group.delete",
];
