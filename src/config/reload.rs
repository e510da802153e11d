//! The reload of readers and secrets while a gateway runs.

use super::{OrgSettings, Settings};

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The changes that are now in force.
    pub changed: Vec<String>,
    /// The parts of the settings that differ and take effect after a restart only.
    pub needs_restart: Vec<&'static str>,
}

impl Settings {
    /// Puts the readers, issuers and secrets of other settings into force, for everything that shares those of `self`. A gateway
    /// that required tokens requires them until a restart, also if no reader is left. The result names readers and orgs but no
    /// secrets.
    pub fn adopt(&self, fresh: &Self) -> Reloaded {
        let was_open = self.authenticator().is_open();
        let is_left_open = was_open && fresh.authenticator().is_open();
        if !is_left_open {
            self.readers.close();
        }
        let mut changed = self.readers.replace(&fresh.readers);
        if was_open && !is_left_open && fresh.readers.number() == 0 && fresh.issuers.is_empty() {
            changed.push("access.open is false: everybody needs an API key".to_owned());
        }
        changed.extend(self.issuers.replace(&fresh.issuers));
        for (name, org) in &self.orgs {
            let Some(fresh) = fresh.orgs.get(name) else { continue };
            if org.hook.replace(&fresh.hook) {
                changed.push(format!("the hook secrets of org {name}"));
            }
            if let (Some(api), Some(fresh)) = (&org.api, &fresh.api)
                && api.credentials.replace(&fresh.credentials)
            {
                changed.push(format!("the credentials of [orgs.api] of org {name}"));
            }
        }
        let mut needs_restart = self.fixed_parts_that_differ(fresh);
        if !is_left_open && fresh.authenticator().is_open() && !self.keys.exist() {
            needs_restart.push(
                "[[readers]] and [[issuers]], of which none are left, or access.open, which is true now (nobody may query until then)",
            );
        }
        Reloaded { changed, needs_restart }
    }

    fn fixed_parts_that_differ(&self, fresh: &Self) -> Vec<&'static str> {
        let orgs = |settings: &Self| {
            let org = |(name, org): (&String, &OrgSettings)| {
                let (url, header, kept) = (&org.url, &org.hook.header, &org.keep_headers);
                format!("{name} {url:?} {header} {kept:?} {:?} {:?}", org.event_types, org.privacy)
            };
            settings.orgs.iter().map(org).collect::<Vec<_>>()
        };
        let apis = |settings: &Self| {
            let options = |org: &OrgSettings| org.api.as_ref().map(|api| api.options.clone());
            settings.orgs.iter().map(|(name, org)| (name.clone(), options(org))).collect::<Vec<_>>()
        };
        // The debug text of these parts is complete and contains no secrets.
        let access = |settings: &Self| {
            format!("{:?} {:?} {:?}", settings.public_url, settings.trusted_proxies, settings.allowed_origins)
        };
        let parts = [
            ("[[orgs]]", orgs(self) != orgs(fresh)),
            ("[orgs.api]", apis(self) != apis(fresh)),
            ("[access]", access(self) != access(fresh)),
            ("[graphql]", format!("{:?}", self.graphql) != format!("{:?}", fresh.graphql)),
            ("[limits]", format!("{:?}", self.limits) != format!("{:?}", fresh.limits)),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }
}
