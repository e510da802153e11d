//! The attacks, and the clients that make them. The clients run on a thread of their own and come from an address of their
//! own, so that they disturb the measured clients only at the gateway and in the processors.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::json;
use sluice::event::ReceivedEvent;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use super::{GREEDY_TOKEN, Sizes};
use crate::load::{Connection, Delivery, Identities};
use crate::rows;

/// Address of the attackers.
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Pause before a client connects again.
const PAUSE: Duration = Duration::from_millis(100);

/// Time limit of a connection attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of lists in one request.
const LISTS: usize = 9;

/// A way to hurt the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attack {
    /// Many heavy queries of one reader at once.
    Queries,
    /// Filters with long lists of instances that do not exist, by one reader.
    Lists,
    /// Bodies without a token that are never finished.
    Bodies,
    /// Sockets that say nothing.
    Sockets,
    /// Requests with a wrong token, as fast as they are answered.
    Tokens,
    /// Large deliveries with the hook's secret, as fast as they are answered.
    Batches,
}

/// Counts of what the attackers did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deeds {
    /// Requests that were answered with 200.
    pub(super) answered: usize,
    /// Requests that were answered otherwise.
    pub(super) refused: usize,
    /// Connections that the gateway closed.
    pub(super) closed: usize,
}

/// The target of the attackers, and their means.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) sizes: Sizes,
    /// Events for large deliveries.
    pub(super) events: Vec<ReceivedEvent>,
}

/// Attackers that run.
#[derive(Debug)]
pub(super) struct Attackers {
    stop: watch::Sender<bool>,
    thread: thread::JoinHandle<Result<Deeds>>,
}

impl Attack {
    const ALL: [Self; 6] = [Self::Queries, Self::Lists, Self::Bodies, Self::Sockets, Self::Tokens, Self::Batches];

    /// Returns the listed attacks, or all of them where the list is empty.
    pub(super) fn selected(only: &[Self]) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |attack| only.is_empty() || only.contains(attack))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Lists => "lists",
            Self::Bodies => "bodies",
            Self::Sockets => "sockets",
            Self::Tokens => "tokens",
            Self::Batches => "batches",
        }
    }

    /// True where the attackers have no right to anything, so that they must not cost memory either.
    pub(super) const fn is_anonymous(self) -> bool {
        matches!(self, Self::Bodies | Self::Sockets | Self::Tokens)
    }

    const fn clients(self, sizes: &Sizes) -> usize {
        match self {
            Self::Queries => sizes.queries,
            Self::Bodies => sizes.bodies,
            Self::Sockets => sizes.silent_sockets,
            Self::Lists | Self::Tokens | Self::Batches => sizes.clients,
        }
    }

    /// Starts the attackers.
    pub(super) fn start(self, plan: Plan) -> Result<Attackers> {
        let (stop, stopped) = watch::channel(false);
        let thread = thread::Builder::new().name("attackers".to_owned()).spawn(move || self.run(&plan, &stopped))?;
        Ok(Attackers { stop, thread })
    }

    fn run(self, plan: &Plan, stopped: &watch::Receiver<bool>) -> Result<Deeds> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let deeds = Rc::new(Cell::new(Deeds::default()));
        let identities = Rc::new(Identities::starting_now());
        let mut clients = Vec::new();
        for _ in 0..self.clients(&plan.sizes) {
            clients.push(Client {
                address: plan.address,
                weapon: self.weapon(plan)?,
                deeds: Rc::clone(&deeds),
                identities: Rc::clone(&identities),
            });
        }
        runtime.block_on(LocalSet::new().run_until(async {
            let mut attacking = JoinSet::new();
            for client in clients {
                let mut stopped = stopped.clone();
                attacking.spawn_local(async move {
                    tokio::select! {
                        _ = stopped.wait_for(|stopped| *stopped) => {}
                        () = client.attack() => {}
                    }
                });
            }
            while attacking.join_next().await.is_some() {}
        }));
        Ok(deeds.get())
    }

    fn weapon(self, plan: &Plan) -> Result<Weapon> {
        let Plan { address, sizes, events } = plan;
        let greedy = format!("Bearer {GREEDY_TOKEN}");
        Ok(match self {
            Self::Queries => Weapon::Ask(post(*address, &greedy, &heavy_query())),
            Self::Lists => Weapon::Ask(post(*address, &greedy, &long_lists(sizes.list))),
            Self::Tokens => {
                Weapon::Ask(post(*address, "Bearer a-token-that-nobody-has", &json!({"query": "{ __typename }"})))
            }
            Self::Bodies => {
                let head = format!(
                    "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\n\r\n",
                    sizes.body_bytes + 1
                );
                Weapon::Hold([head.into_bytes(), vec![b' '; sizes.body_bytes]].concat())
            }
            Self::Sockets => Weapon::Hold(Vec::new()),
            Self::Batches => {
                let number = (sizes.batch_bytes / rows::mean_size(events).max(1)).max(1);
                Weapon::Deliver(Delivery::new(*address, events.iter().cycle().take(number))?)
            }
        })
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|attack| attack.name() == text);
        found.ok_or_else(|| format!("there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

impl Attackers {
    /// Stops the attackers, and returns what they did.
    pub(super) fn stop(self) -> Result<Deeds> {
        self.stop.send_replace(true);
        self.thread.join().map_err(|_| anyhow!("the attackers' thread panicked"))?
    }
}

/// Means of one client.
enum Weapon {
    /// A whole request, again and again.
    Ask(Vec<u8>),
    /// New events, again and again.
    Deliver(Delivery),
    /// A part of a request, after which the connection is held open.
    Hold(Vec<u8>),
}

struct Client {
    address: SocketAddr,
    weapon: Weapon,
    deeds: Rc<Cell<Deeds>>,
    identities: Rc<Identities>,
}

impl Client {
    /// Attacks until it is dropped.
    async fn attack(mut self) {
        loop {
            if let Ok(Ok(connection)) = timeout(PATIENCE, Connection::open_from(ATTACKER, self.address)).await {
                self.attack_by(connection).await;
                self.count(|deeds| deeds.closed += 1);
            }
            sleep(PAUSE).await;
        }
    }

    /// Attacks until the gateway closes the connection.
    async fn attack_by(&mut self, mut connection: Connection) {
        loop {
            let answered = match &mut self.weapon {
                Weapon::Ask(request) => connection.exchange(request).await,
                Weapon::Deliver(delivery) => connection.exchange(delivery.renewed(&self.identities)).await,
                Weapon::Hold(part) => {
                    // Both an error and the end mean that the connection is closed.
                    _ = connection.hold(part).await;
                    return;
                }
            };
            match answered {
                Ok(200) => self.count(|deeds| deeds.answered += 1),
                Ok(_) => self.count(|deeds| deeds.refused += 1),
                Err(_) => return,
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut Deeds)) {
        let mut deeds = self.deeds.get();
        change(&mut deeds);
        self.deeds.set(deeds);
    }
}

/// Returns a request to `/graphql`.
pub(super) fn post(address: SocketAddr, authorization: &str, body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\nauthorization: {authorization}\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    request.into_bytes()
}

/// Returns a legal query for which the database has to read every event several times.
fn heavy_query() -> serde_json::Value {
    let document = "{ all: syncEvents(first: 1) { users: top(by: USER, first: 1000) { nodes { key count } }
        admins: top(by: ADMIN, first: 1000) { nodes { key count } } types: top(by: EVENT_TYPE) { nodes { key count } }
        totalCount(upTo: 1000000) { value } } days: syncEvents(filter: {published: {from: $from}}) {
        histogram(step: {interval: HOUR}, by: APPLICATION_INSTANCE, keys: 5) { series { key counts } } } }";
    let from = time::OffsetDateTime::now_utc() - time::Duration::days(2);
    let from = from.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    json!({"query": document.replace("$from", &format!("\"{from}\""))})
}

/// Returns a query with several lists of as many instances that do not exist.
fn long_lists(length: usize) -> serde_json::Value {
    let ids: Vec<_> = (0..length).map(|number| format!("0oaabsent{number:011}")).collect();
    let mut fields = String::new();
    for number in 0..LISTS {
        _ = write!(
            fields,
            " l{number}: syncEvents(first: 50, filter: {{applicationInstances: $ids}}) {{ nodes {{ uuid }} }}"
        );
    }
    json!({"query": format!("query ($ids: [String!]!) {{{fields} }}"), "variables": {"ids": ids}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_known_by_their_names() {
        for attack in Attack::ALL {
            assert_eq!(attack.name().parse(), Ok(attack));
        }
        assert!("storm".parse::<Attack>().unwrap_err().contains("queries, lists"));
        assert_eq!(Attack::selected(&[Attack::Tokens]).collect::<Vec<_>>(), [Attack::Tokens]);
    }
}
