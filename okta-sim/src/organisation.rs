//! An organisation generated from a seed, and its events.

mod applications;
mod circumstances;
mod event_types;
mod people;
mod targets;

use std::sync::Arc;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use time::{Duration, OffsetDateTime};

use crate::event::{ChangeDetails, DebugContext, Label, LogEvent, Outcome};
use crate::hook::EventHook;
use crate::random::{Weights, okta_id, one_of, uuid_v1};
pub use applications::{Application, Instance};
use circumstances::Circumstances;
use event_types::{EventType, OUTSIDERS, SYNC_FAMILY, Subject};
pub use people::Person;
use people::{Group, people};

/// The options of an organisation. Equal options generate the same organisation with the same events.
#[derive(Clone, Debug)]
pub struct OrganisationOptions {
    /// The seed for everything that the other options leave open.
    pub seed: u64,
    /// The org's URL at Okta.
    pub url: String,
    /// The number of applications; at least 1.
    pub applications: u32,
    /// The number of instances; at least 1. Each application has an instance if there are enough.
    pub instances: u32,
    /// The number of people; at least 1.
    pub users: u32,
    /// The share of events outside the sync family, such as `user.session.start`, between 0 and 1.
    pub outsiders: f64,
    /// True if only events happen that Okta offers to event hooks. Okta provides some types of the sync family through
    /// the System Log only, such as `application.provision.user.deactivate`.
    pub only_for_hooks: bool,
}

impl Default for OrganisationOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            url: "https://acme.okta.example".to_owned(),
            applications: 12,
            instances: 40,
            users: 500,
            outsiders: 0.0,
            only_for_hooks: false,
        }
    }
}

/// An organisation at Okta.
#[derive(Debug)]
pub struct Organisation {
    url: String,
    random: ChaCha8Rng,
    hook: Arc<EventHook>,
    applications: Vec<Arc<Application>>,
    instances: Vec<Instance>,
    popularity: Weights,
    people: Vec<Person>,
    groups: Vec<Group>,
    event_types: Vec<&'static EventType>,
    frequency: Weights,
    outsiders: f64,
    system: String,
    node: [u8; 6],
    events: u64,
}

/// The number of administrators, who are the first of the people.
const ADMINS: usize = 5;

impl Organisation {
    /// Generates the organisation.
    pub fn new(options: OrganisationOptions) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let applications = applications::applications(options.applications.max(1));
        let instances = applications::instances(&mut random, &applications, options.instances.max(1));
        let event_types: Vec<_> =
            SYNC_FAMILY.iter().filter(|kind| kind.offered_to_hooks || !options.only_for_hooks).collect();
        Self {
            hook: Arc::new(EventHook::new(&options.url, okta_id("who", random.random()))),
            people: people(&mut random, options.users.max(1)),
            groups: people::groups(&mut random),
            popularity: Weights::zipf(options.instances.max(1)),
            frequency: Weights::new(event_types.iter().map(|kind| kind.weight)),
            outsiders: options.outsiders.clamp(0.0, 1.0),
            system: okta_id("0sp", random.random()),
            node: random.random(),
            events: 0,
            url: options.url,
            random,
            applications,
            instances,
            event_types,
        }
    }

    /// Returns the org's URL at Okta.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the org's event hook.
    pub fn hook(&self) -> &Arc<EventHook> {
        &self.hook
    }

    /// Returns the applications.
    pub fn applications(&self) -> &[Arc<Application>] {
        &self.applications
    }

    /// Returns the instances, the one with the most events first.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Returns the instance with an id.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// Returns the people.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Generates events at random times between `from` (inclusive) and `until` (exclusive), in order of time.
    pub fn history(&mut self, events: usize, from: OffsetDateTime, until: OffsetDateTime) -> Vec<LogEvent> {
        let span = (until - from).whole_milliseconds().max(1);
        let mut moments: Vec<_> = (0..events).map(|_| self.random.random_range(0..span)).collect();
        moments.sort_unstable();
        let moment = |millis| from + Duration::milliseconds(i64::try_from(millis).unwrap_or(i64::MAX));
        moments.into_iter().map(|millis| self.event_at(moment(millis))).collect()
    }

    /// Generates the next event, at a time with milliseconds.
    pub fn event_at(&mut self, published: OffsetDateTime) -> LogEvent {
        let published = published.to_offset(time::UtcOffset::UTC);
        let kind = self.event_type();
        let at = self.popularity.pick(&mut self.random);
        let user = one_of(&mut self.random, &self.people).clone();
        let renamed = kind.subject == Subject::Label && self.random.random_bool(0.5);
        let change = renamed.then(|| self.rename(at));
        let circumstances = self.circumstances(kind, at, &user);
        let instance = &self.instances[at];
        let failed = self.random.random_bool(kind.failures);
        let target = targets::targets(&mut self.random, kind.subject, instance, &user, &self.groups, change);
        self.events += 1;
        LogEvent {
            actor: circumstances.actor,
            client: circumstances.client,
            device: None,
            authentication_context: circumstances.authentication_context,
            display_message: kind.message,
            event_type: kind.name,
            outcome: outcome(&mut self.random, failed, instance, &user),
            published: published.replace_millisecond(published.millisecond()).unwrap_or(published),
            security_context: circumstances.security_context,
            severity: if failed { "ERROR" } else { "INFO" },
            debug_context: DebugContext { debug_data: circumstances.debug_data },
            legacy_event_type: if failed { kind.legacy_of_failure.or(kind.legacy) } else { kind.legacy },
            transaction: circumstances.transaction,
            uuid: uuid_v1(published, self.events, self.node),
            version: "0",
            request: circumstances.request,
            target,
            hook: Arc::clone(&self.hook),
        }
    }

    fn event_type(&mut self) -> &'static EventType {
        if self.random.random_bool(self.outsiders) {
            one_of(&mut self.random, OUTSIDERS)
        } else {
            self.event_types[self.frequency.pick(&mut self.random)]
        }
    }

    /// Generates the circumstances of an event in an instance.
    fn circumstances(&mut self, kind: &EventType, at: usize, user: &Person) -> Circumstances {
        let random = &mut self.random;
        if kind.subject == Subject::SignIn {
            return Circumstances::web(random, user, "/api/v1/authn");
        }
        let admin = one_of(random, &self.people[..self.people.len().min(ADMINS)]);
        let instance = &self.instances[at];
        if random.random_bool(kind.web) {
            Circumstances::web(random, admin, &format!("/api/v1/apps/{}/{}", instance.id, kind.path()))
        } else {
            Circumstances::job(random, kind, admin, &self.system, &instance.application.name)
        }
    }

    /// Changes the label of an instance, which later events have.
    fn rename(&mut self, at: usize) -> ChangeDetails {
        let number = self.random.next_u32() % 1000;
        let instance = &mut self.instances[at];
        let label = format!("{} ({number:03})", instance.application.display_name);
        let before = std::mem::replace(&mut instance.label, label.clone());
        ChangeDetails { from: Label { label: before }, to: Label { label } }
    }
}

fn outcome(random: &mut ChaCha8Rng, failed: bool, instance: &Instance, user: &Person) -> Outcome {
    if !failed {
        return Outcome { result: "SUCCESS", reason: None };
    }
    let Instance { label, .. } = instance;
    let reason = match random.random_range(0..5) {
        0 => Some(format!("Automatic provisioning of user {} to app {label} failed: Bad Request", user.name())),
        1 => Some(format!("Matching user not found in {label}")),
        2 => Some(format!("Error while trying to push profile update for {}: 429 Too Many Requests", user.login)),
        _ => None,
    };
    Outcome { result: "FAILURE", reason }
}

#[cfg(test)]
mod tests;
