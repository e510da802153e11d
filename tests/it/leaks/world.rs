//! The world of the leak tests: three orgs with thirty instances. Every value that one may not see has a canary in it.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};
use sluice::auth::HookSecrets;
use sluice::config::Settings;
use uuid::Uuid;

use crate::database::TestDatabase;
use crate::events::{delivery, sync_event};
use crate::gateway::{Gateway, every_event_type, settings};
use crate::leaks::readers::TestReader;

/// The number of orgs, and of instances in each.
pub(crate) const ORGS: usize = 3;
pub(crate) const INSTANCES: usize = 10;

/// The applications of each org. All orgs have the same ones, as real ones do.
pub(crate) const APPLICATIONS: [&str; 3] = ["appone", "apptwo", "appthree"];

/// The types of events.
pub(crate) const TYPES: [&str; 3] =
    ["application.provision.user.sync", "application.provision.user.push", "application.user_membership.add"];

/// The instance with the same id in the first two orgs.
pub(crate) const SHARED: &str = "0oashared";

const EVENTS_PER_CELL: usize = 4;

/// A part of an org: an instance, what names an application without an instance, or what names neither.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) number: usize,
    pub(crate) org: usize,
    pub(crate) application: Option<usize>,
    pub(crate) instance: Option<String>,
}

/// An event of the world.
#[derive(Clone, Debug)]
pub(crate) struct WorldEvent {
    pub(crate) cell: usize,
    pub(crate) org: usize,
    pub(crate) uuid: String,
    pub(crate) event_type: &'static str,
    /// The position; 0 until it is known.
    pub(crate) position: u64,
    pub(crate) raw: Value,
}

/// The world, and the gateway that has it.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) cells: Vec<Cell>,
    pub(crate) events: Vec<WorldEvent>,
    pub(crate) readers: Vec<TestReader>,
    /// The global ids of the rejected records, one for each org.
    pub(crate) rejected: Vec<String>,
}

pub(crate) fn org_name(org: usize) -> String {
    format!("orgx{org}x")
}

fn hook_secret(org: usize) -> String {
    format!("the secret of the hook {org}")
}

/// The canary in an application's name.
pub(crate) fn application_canary(org: usize, application: usize) -> String {
    format!("appx{}x", org * APPLICATIONS.len() + application)
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for org in 0..ORGS {
        let mut add = |application, instance| {
            cells.push(Cell { number: cells.len(), org, application, instance });
        };
        add(None, None);
        (0..APPLICATIONS.len()).for_each(|application| add(Some(application), None));
        for instance in 0..INSTANCES {
            let id = if instance == 0 && org < 2 { SHARED.to_owned() } else { format!("0oaidx{org}{instance}x") };
            add(Some(instance % APPLICATIONS.len()), Some(id));
        }
    }
    cells
}

/// An event of a cell. One admin acts in all cells, under another name in each.
pub(crate) fn event_of(random: &mut StdRng, cell: &Cell, uuid: Option<String>) -> WorldEvent {
    let Cell { number, org, application, instance } = cell;
    let row = format!("rowx{number}x");
    let person = format!("perx{number}x");
    let event_type = *TYPES.choose(random).unwrap();
    let published = format!("2026-0{}-05T00:00:0{}.000Z", random.random_range(3..5), random.random_range(0..3));
    let mut event = sync_event("unused");
    let uuid = uuid.unwrap_or_else(|| Uuid::new_v4().to_string());
    event["uuid"] = uuid.clone().into();
    event["eventType"] = event_type.into();
    event["published"] = published.into();
    event["displayMessage"] = format!("Sync {row}").into();
    event["outcome"]["result"] = (*["SUCCESS", "FAILURE"].choose(random).unwrap()).into();
    event["outcome"]["reason"] = format!("Because of {person}").into();
    event["actor"]["alternateId"] = format!("admin.{person}@acme.example").into();
    event["actor"]["displayName"] = format!("Admin {person}").into();
    event["target"][1]["alternateId"] = format!("login.{person}").into();
    event["target"][1]["displayName"] = format!("Login {person}").into();
    event["target"][2] = json!({"type": "User", "id": format!("00u{row}"), "alternateId": format!("user.{person}@acme.example"),
        "displayName": format!("User {person}")});
    event["transaction"] = json!({"id": format!("trs{row}"), "type": "JOB"});
    event["client"] = json!({"ipAddress": "192.0.2.1", "userAgent": {"rawUserAgent": format!("detx{number}x")}});
    event["debugContext"]["debugData"] = json!({"detail": format!("detx{number}x")});
    if let Some(application) = application {
        event["debugContext"]["debugData"]["appname"] = APPLICATIONS[*application].into();
    }
    event["target"][0] = match (application, instance) {
        (Some(application), Some(id)) => json!({"type": "AppInstance", "id": id, "alternateId": format!("Label {row}"),
            "displayName": format!("Name {}", application_canary(*org, *application))}),
        _ => json!({"type": "Other", "id": "x"}),
    };
    WorldEvent { cell: *number, org: *org, uuid, event_type, position: 0, raw: event }
}

impl World {
    pub(crate) async fn new(random: &mut StdRng, readers: usize) -> Self {
        let readers = TestReader::random_set(random, readers);
        let database = TestDatabase::new().await;
        let settings = world_settings(&database, &readers);
        let gateway = Gateway::start_over(database, settings).await;
        let mut world = Self { gateway, cells: cells(), events: Vec::new(), readers, rejected: Vec::new() };
        let mut events = Vec::new();
        for cell in &world.cells {
            events.extend((0..EVENTS_PER_CELL).map(|_| event_of(random, cell, None)));
        }
        // Some events have the same uuid in several orgs.
        for twin in 0..3 {
            let uuid = Uuid::new_v4().to_string();
            let cells = (0..ORGS).map(|org| &world.cells[org * world.cells.len() / ORGS + 4 + twin]);
            events.extend(cells.map(|cell| event_of(random, cell, Some(uuid.clone()))));
        }
        world.deliver(events).await;
        for org in 0..ORGS {
            world.post(org, json!({"eventId": "e", "data": {"events": [{"broken": format!("rejx{org}x")}]}})).await;
        }
        world.learn_rejected().await;
        world
    }

    async fn post(&self, org: usize, body: Value) {
        let url = self.gateway.url(&format!("/okta/{}/hooks", org_name(org)));
        let request = self.gateway.client.post(url).header("authorization", hook_secret(org)).body(body.to_string());
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }

    /// Delivers events, and learns their positions.
    pub(crate) async fn deliver(&mut self, events: Vec<WorldEvent>) {
        for org in 0..ORGS {
            let of_org: Vec<Value> =
                events.iter().filter(|event| event.org == org).map(|one| one.raw.clone()).collect();
            if !of_org.is_empty() {
                self.post(org, delivery(&of_org)).await;
            }
        }
        self.events.extend(events);
        let query = "{ syncEvents(first: 1000) { nodes { uuid org position } } }";
        let found = self.ask_as_unlimited(query).await;
        for node in found["data"]["syncEvents"]["nodes"].as_array().unwrap() {
            let is_it = |event: &&mut WorldEvent| node["uuid"] == event.uuid && node["org"] == org_name(event.org);
            let event = self.events.iter_mut().find(is_it).unwrap();
            event.position = node["position"].as_str().unwrap().parse().unwrap();
        }
        assert!(self.events.iter().all(|event| event.position > 0));
        self.events.sort_by_key(|event| event.position);
    }

    async fn ask_as_unlimited(&self, query: &str) -> Value {
        let request = self.gateway.client.post(self.gateway.url("/graphql")).bearer_auth(&self.readers[0].token);
        let answer: Value = request.json(&json!({"query": query})).send().await.unwrap().json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
        answer
    }

    async fn learn_rejected(&mut self) {
        let found = self.ask_as_unlimited("{ ingestion { rejected { nodes { id org } } } }").await;
        let nodes = found["data"]["ingestion"]["rejected"]["nodes"].as_array().unwrap();
        let id_of =
            |org| nodes.iter().find(|node| node["org"] == org_name(org)).unwrap()["id"].as_str().unwrap().to_owned();
        self.rejected = (0..ORGS).map(id_of).collect();
    }
}

fn world_settings(database: &TestDatabase, readers: &[TestReader]) -> Settings {
    let mut settings = settings(database);
    let mut org = settings.orgs.pop_first().unwrap().1;
    org.event_types = every_event_type();
    org.url = None;
    for number in 0..ORGS {
        let mut own = org.clone();
        own.hook = HookSecrets::new("authorization", vec![hook_secret(number).into()]);
        settings.orgs.insert(org_name(number), own);
    }
    settings.readers = TestReader::settings(readers);
    settings
}
