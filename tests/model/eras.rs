//! Model of eras: how no position is given to two events, even after a database was restored from a copy.
//!
//! A position is the tag of an era and an offset in that era. A database gives positions in its last era only. Copies
//! of the database are taken and restored, in its place or beside it, once or repeatedly, while gateways run. Two
//! databases may then end in the same era, and only one of them may append to it. The rules:
//! 1. The log stores the identity of the database in which its last era was started. For each new connection that is to
//!    append, the gateway calls `log_check_era`. That function compares the stored identity with the database's own,
//!    and starts an era under the head's lock if they differ.
//! 2. The function also starts an era if the gateway has read beyond the head: further in the last era, or in an era
//!    that the database does not know and that is later than all of its own.
//! 3. The tag of a new era is greater than every tag that the database or the gateway knows, and no other era ever has
//!    the same tag.
//! 4. An append moves the head only if the tables are those in which the last era was started; else it is refused, and
//!    the gateway repeats the check.
//! 5. Gateways start no era while a restore is loading, and do not read restored tables before an era was started.
//! 6. A subscriber resumes from its last position. The gateway refuses the position (`POSITION_LOST`) if the database
//!    does not know the era, or has fewer events of that era and a later era after them. A subscriber whose position is
//!    beyond the head, in the last era, waits. Every read returns the tag of the head's era, so that the gateway checks
//!    the subscriber's position again where an era begins.
//!
//! The program differs from the model in these points:
//! * The check compares without a lock first, and once more under the lock if it then finds a difference.
//! * The tail reader (`src/live/tail/reader.rs`) applies rule 2 whenever it finds the head before what was read; the model
//!   applies it to new connections only.
//! * A tag is the clock's time in microseconds, or the last tag plus a random number where the clock is behind. The
//!   model assumes that such tags differ.
//! * The check takes a restore for complete once the indexes of its tables exist.
//! * A subscriber whose position is beyond the head waits for 5 seconds and is then refused (`POSITION_AHEAD`).

mod database;
mod flaws;
mod limits;
mod steps;

use stateright::{Model, Property};

use database::{Contents, Database, Era, Event, Identity, Position, Restore, Tag};

/// Parameters of the model: a database, the restores of its copies, and the gateways and the subscriber that use it.
#[derive(Clone, Debug)]
struct Eras {
    /// Kinds of restores that may happen.
    restores: &'static [Restore],
    gateways: usize,
    /// True when a subscriber takes part.
    has_subscriber: bool,
    bounds: Bounds,
    /// Parts of an identity that are compared.
    compared: Compared,
    flaw: Option<Flaw>,
}

/// Limits of a run: numbers of steps, in total, unless a field says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Bounds {
    /// Number of databases that run at the same time.
    servers: usize,
    appends: u8,
    copies: u8,
    restores: u8,
    /// Number of times that a gateway restarts, and so forgets how far it has read.
    forgets: u8,
    /// Greatest tag that an era may get: a gateway's clock may give any tag up to it.
    tags: Tag,
}

/// Parts of an identity that are compared, beside the cluster and the time line, which always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Compared {
    tables: bool,
    directory: bool,
    start: bool,
}

/// Parts that the program compares: all but the time at which PostgreSQL was started.
const USUAL: Compared = Compared { tables: true, directory: true, start: false };

/// A variant of the protocol that leaves one rule out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// The check ignores how far the gateway has read (rule 2).
    ReadIsNotAsked,
    /// The check ignores how far the gateway has read in an era that the database does not know.
    OnlyReadOfLastEraIsAsked,
    /// The tag of a new era is the last tag that the database knows, plus one.
    TagFromHead,
    /// The tag of a new era is a time that no other era has, but it may be less than the tags of earlier eras.
    TagFromClockAlone,
    /// The tables are compared for each new connection, but not by each append (rule 4).
    TablesAreComparedOnce,
    /// Gateways read and start eras while a restore is loading (rule 5).
    RestoreIsNotAwaited,
    /// A gateway keeps the eras' tags, and reads them again only when the database has more eras than before.
    TagsAreKept,
    /// A subscriber at the log's end continues into a new era without a check of its position (rule 6).
    BorderIsNotChecked,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// Databases that run. A run begins with one.
    servers: Vec<Database>,
    copies: Vec<Database>,
    gateways: Vec<Gateway>,
    subscriber: Subscriber,
    /// Every position that a gateway acknowledged or delivered, with its event; sorted.
    seen: Vec<(Position, Event)>,
    /// Tags of all eras that were ever started; sorted.
    tags: Vec<Tag>,
    left: Bounds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
struct Gateway {
    /// Server to which the gateway's connection for appends leads.
    server: Option<usize>,
    /// Furthest position that the gateway has read or appended.
    read: Option<Position>,
    /// Tags of the eras that the gateway keeps; used only by `Flaw::TagsAreKept`.
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Subscriber {
    at: Option<Position>,
    /// All events through `at`, in the history that the subscriber reads.
    seen: Vec<Event>,
    /// True once the subscriber was refused with `POSITION_LOST`, and so ended.
    was_lost: bool,
    /// True once the subscriber continued in another history than its own.
    is_misled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A server's database is copied or dumped.
    Copy(usize),
    /// A copy is restored, in the place of a server or as an additional one.
    Restore { how: Restore, copy: usize, server: usize },
    /// A restore has loaded all events into a server's database.
    Loaded(usize),
    /// A gateway restarts.
    Forget(usize),
    /// A gateway opens a connection for appends and checks it (`log_check_era`), which starts an era if one is needed.
    Connect { gateway: usize, server: usize, new_era: Option<Tag> },
    /// A gateway appends an event.
    Append(usize),
    /// The subscriber subscribes from now on, at a gateway that reads from a server.
    FromNow { gateway: usize, server: usize },
    /// The subscriber resumes or continues, at a gateway that reads from a server: the answer is the next event or
    /// `POSITION_LOST`.
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
            seen: Vec::new(),
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
        // Gateways are interchangeable: states that differ only in their order become one.
        state.gateways.sort_unstable();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(UNIQUE, |_, state: &State| state.seen.windows(2).all(|pair| pair[0].0 != pair[1].0)),
            Property::always(OWN_HISTORY, |_, state: &State| !state.subscriber.is_misled),
            Property::always(GROW, |_, state: &State| {
                let all_eras = state.servers.iter().map(|database| &database.contents.eras);
                all_eras.clone().all(|eras| eras.windows(2).all(|pair| pair[0].tag < pair[1].tag))
            }),
            Property::sometimes("everything is appended", |_, state: &State| state.left.appends == 0),
            Property::sometimes("an event is appended to a later era", |_, state: &State| {
                state.seen.last().is_some_and(|(position, _)| position.tag > 0)
            }),
        ];
        if self.has_subscriber {
            properties.extend([
                Property::sometimes("a subscriber gets POSITION_LOST", |_, state: &State| state.subscriber.was_lost),
                Property::sometimes("a subscriber gets an event of a later era", |_, state: &State| {
                    state.subscriber.at.is_some_and(|at| at.tag > 0 && at.offset > 0)
                }),
            ]);
        }
        properties
    }
}

/// The event that the log holds when a run begins.
const FIRST: Event = 1;

const UNIQUE: &str = "a position that was ever acknowledged or read is that of one event";
const OWN_HISTORY: &str =
    "a subscriber that resumes gets the events that follow in the history that it has seen, or POSITION_LOST";
const GROW: &str = "positions grow in every database";
