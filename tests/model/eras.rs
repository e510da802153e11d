//! How no position is given twice, whatever is restored: eras.
//!
//! A position is an era's tag and an offset in that era. A database gives positions in its last era only. Copies are
//! taken of it and restored, here and there, once and again, while gateways run; so two databases may have the same
//! last era, and only one of them may go on in it.
//! 1. The log keeps the identity of the database in which its last era was started. A gateway's new connection that is
//!    to write compares that with the database's own, under the head's lock, and starts an era when they differ.
//! 2. The same where the gateway has read further than the head: further in the last era, or in an era that this
//!    database does not know and that is later than all it knows.
//! 3. A new era's tag is greater than all that the database and the gateway know, and no other era ever has it.
//! 4. An append moves the head only if the tables are still those of 1; else it is refused, and 1 comes again.
//! 5. Nothing is read, and no era is started, while a restore is still loading.
//! 6. A reader names its position and is refused (`POSITION_LOST`) where the database does not know the era, or has
//!    another one after less of it; where the position is beyond the head it waits. Every read tells the head's era.

mod database;
mod flaws;
mod limits;
mod steps;

use stateright::{Model, Property};

use database::{Contents, Database, Era, Event, Identity, Position, Restore, Tag};

/// A database, of which copies are taken and restored, and who uses what comes of it.
#[derive(Clone, Debug)]
struct Eras {
    /// Ways in which copies are restored.
    restores: &'static [Restore],
    gateways: usize,
    /// Whether somebody subscribes, too.
    has_subscriber: bool,
    bounds: Bounds,
    /// Which parts of an identity are compared.
    compared: Compared,
    flaw: Option<Flaw>,
}

/// How often something happens, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Bounds {
    /// How many databases run beside each other.
    servers: usize,
    appends: u8,
    copies: u8,
    restores: u8,
    /// How often a gateway is started anew and has forgotten how far it had read.
    forgets: u8,
    /// The greatest tag that an era may get: clocks choose among those up to it.
    tags: Tag,
}

/// Which parts of an identity are compared: the cluster and the time line always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Compared {
    tables: bool,
    directory: bool,
    start: bool,
}

/// The identity as it is compared where PostgreSQL's start is no part of it.
const USUAL: Compared = Compared { tables: true, directory: true, start: false };

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// How far a gateway has read is not asked.
    ReadIsNotAsked,
    /// The same, where that is in an era that the database does not know.
    OnlyReadOfLastEraIsAsked,
    /// The tag of a new era is one more than the last one that the database knows.
    TagFromHead,
    /// It is a time that no other era has, but may be before those of other eras.
    TagFromClockAlone,
    /// The tables are compared for a new connection only, not by each append.
    TablesAreComparedOnce,
    /// Reading and starting eras go on while a restore is loading.
    RestoreIsNotAwaited,
    /// A gateway reads the tags of a database's eras once.
    TagsAreKept,
    /// A subscriber that waits at the end goes on over the start of an era without being checked.
    BorderIsNotChecked,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// Databases that run; the first one is where all began.
    servers: Vec<Database>,
    copies: Vec<Database>,
    gateways: Vec<Gateway>,
    subscriber: Subscriber,
    /// Every position that anybody was told, with its event.
    told: Vec<(Position, Event)>,
    /// Tags that eras have or had.
    tags: Vec<Tag>,
    left: Bounds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
struct Gateway {
    /// The server to which it is connected, to append.
    server: Option<usize>,
    /// How far it has read.
    read: Option<Position>,
    /// The eras' tags as it knows them; only a flaw needs that.
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Subscriber {
    at: Option<Position>,
    /// All events through there, in the history of which it reads.
    seen: Vec<Event>,
    /// Whether it was told that its position was lost, and ended.
    was_lost: bool,
    /// Whether it was let go on in another history.
    is_misled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A server's database is copied or dumped.
    Copy(usize),
    /// A copy is restored as a server, in the place of one or beside them.
    Restore { how: Restore, copy: usize, server: usize },
    /// A restore has loaded everything.
    Loaded(usize),
    /// A gateway is started anew.
    Forget(usize),
    /// A gateway connects to a server, to append, and has the new connection checked (`log_check_era`), which starts an
    /// era where that must be.
    Connect { gateway: usize, server: usize, new_era: Option<Tag> },
    /// A gateway appends an event.
    Append(usize),
    /// The subscriber subscribes from now on, at a gateway that reads from a server.
    FromNow { gateway: usize, server: usize },
    /// The subscriber resumes so, or goes on: it gets the next event, or is told that it cannot.
    Resume { gateway: usize, server: usize },
}

impl Model for Eras {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let contents = Contents { eras: vec![Era { tag: 0, events: vec![FIRST] }], started_in: Identity::default() };
        vec![State {
            servers: vec![Database { contents, identity: Identity::default(), is_loaded: true }],
            copies: Vec::new(),
            gateways: vec![Gateway::default(); self.gateways],
            subscriber: Subscriber::default(),
            told: Vec::new(),
            tags: vec![0],
            left: self.bounds,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (server, database) in state.servers.iter().enumerate() {
            if state.left.copies > 0 && database.is_loaded && !state.copies.contains(database) {
                actions.push(Action::Copy(server));
            }
            if !database.is_loaded {
                actions.push(Action::Loaded(server));
            }
        }
        if state.left.restores > 0 {
            self.add_restores(state, actions);
        }
        for (number, gateway) in state.gateways.iter().enumerate() {
            self.add_steps_of(state, number, gateway, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Copy(server) => {
                state.left.copies -= 1;
                state.copies.push(state.servers[server].clone());
            }
            Action::Restore { how, copy, server } => self.restore(&mut state, how, copy, server),
            Action::Loaded(server) => state.servers[server].is_loaded = true,
            Action::Forget(gateway) => {
                state.left.forgets -= 1;
                state.gateways[gateway] = Gateway::default();
            }
            Action::Connect { gateway, server, new_era } => Self::connect(&mut state, gateway, server, new_era),
            Action::Append(gateway) => self.append(&mut state, gateway)?,
            Action::FromNow { gateway, server } => self.subscribe_from_now(&mut state, gateway, server)?,
            Action::Resume { gateway, server } => self.resume(&mut state, gateway, server)?,
        }
        // Gateways are alike.
        state.gateways.sort_unstable();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_EVENT, |_, state: &State| state.told.windows(2).all(|pair| pair[0].0 != pair[1].0)),
            Property::always(OWN_HISTORY, |_, state: &State| !state.subscriber.is_misled),
            Property::always(GROW, |_, state: &State| {
                let all_eras = state.servers.iter().map(|database| &database.contents.eras);
                all_eras.clone().all(|eras| eras.windows(2).all(|pair| pair[0].tag < pair[1].tag))
            }),
            Property::sometimes("everything is appended", |_, state: &State| state.left.appends == 0),
            Property::sometimes("an event is appended to a later era", |_, state: &State| {
                state.told.last().is_some_and(|(position, _)| position.tag > 0)
            }),
        ];
        if self.has_subscriber {
            properties.extend([
                Property::sometimes("a subscriber is told that its position was lost", |_, state: &State| {
                    state.subscriber.was_lost
                }),
                Property::sometimes("a subscriber gets an event of a later era", |_, state: &State| {
                    state.subscriber.at.is_some_and(|at| at.tag > 0 && at.offset > 0)
                }),
            ]);
        }
        properties
    }
}

/// The event with which the log begins.
const FIRST: Event = 1;

const ONE_EVENT: &str = "a position that anybody was told is that of one event";
const OWN_HISTORY: &str = "who resumes gets what follows in the history that he has seen, or POSITION_LOST";
const GROW: &str = "positions grow in every database";
