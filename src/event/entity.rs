//! An admin, a user, an application user or an application, as an event names it.

/// The four things Okta says of an actor or a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Okta's id; empty where Okta left it out.
    pub id: String,
    /// A login, a user name in the application, or an instance's label.
    pub alternate_id: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Okta's type: `User`, `AppUser`, `AppInstance`, `SystemPrincipal` … Empty where Okta left it out.
    pub kind: String,
}

impl Entity {
    /// How many bytes its text holds.
    pub fn size(&self) -> usize {
        self.id.len()
            + self.kind.len()
            + self.alternate_id.as_ref().map_or(0, String::len)
            + self.display_name.as_ref().map_or(0, String::len)
    }
}
