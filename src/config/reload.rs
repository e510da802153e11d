//! Settings that change while a gateway runs: the readers and the secrets.

use super::{Org, Settings};

/// The result of reading the settings again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Changes that are in force now.
    pub changed: Vec<String>,
    /// Parts that differ, and stay as they were until the gateway is started again.
    pub needs_restart: Vec<&'static str>,
}

impl Settings {
    /// Puts the readers and the secrets of other settings into force, for everything that shares those of `self`. The
    /// names of readers and orgs are told, and no secret.
    pub fn adopt(&self, fresh: &Self) -> Reloaded {
        let mut changed = self.readers.replace(&fresh.readers);
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
        Reloaded { changed, needs_restart: self.fixed_parts_that_differ(fresh) }
    }

    fn fixed_parts_that_differ(&self, fresh: &Self) -> Vec<&'static str> {
        let orgs = |settings: &Self| {
            let org = |(name, org): (&String, &Org)| {
                format!("{name} {:?} {} {:?} {:?}", org.url, org.hook.header, org.keep_headers, org.event_types)
            };
            settings.orgs.iter().map(org).collect::<Vec<_>>()
        };
        let apis = |settings: &Self| {
            let options = |org: &Org| org.api.as_ref().map(|api| api.options.clone());
            settings.orgs.iter().map(|(name, org)| (name.clone(), options(org))).collect::<Vec<_>>()
        };
        // Debug's text of these has everything, and they hold no secret.
        let parts = [
            ("[[orgs]]", orgs(self) != orgs(fresh)),
            ("[orgs.api]", apis(self) != apis(fresh)),
            ("[access]", format!("{:?}", self.trusted_proxies) != format!("{:?}", fresh.trusted_proxies)),
            ("[graphql]", format!("{:?}", self.graphql) != format!("{:?}", fresh.graphql)),
            ("[limits]", format!("{:?}", self.limits) != format!("{:?}", fresh.limits)),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }
}
