//! How events get their positions: the log's head and its writers.
//!
//! Gateways' writers append batches of events to one database. The head is a row that holds the newest position. A
//! writer
//! 1. looks which of its events the log has (a statement of its own, before it holds anything),
//! 2. moves the head by the number of the others, which locks it until the transaction ends, and numbers them from
//!    where the head was,
//! 3. inserts them; the primary key refuses an event that somebody stored after the look, and the writer begins anew,
//! 4. commits, which lets go of the head, and
//! 5. hears of the commit and acknowledges each event: as stored, or as known.
//!
//! Every connection may break at every step: the database then rolls back, unless it had committed, and the writer
//! begins anew without knowing which. A writer may also give up waiting and begin anew on another connection while the
//! database still works for the first one. Events come more than once, by several writers. (A lone event takes the
//! same steps in one statement: what that sees is as old as the look.)

mod flaws;

use stateright::{Model, Property};

/// An event's identity: its org and its uuid.
type Event = u8;
type Position = u8;

/// A database and its writers.
#[derive(Clone, Debug)]
struct Append {
    /// What each writer has to append, batch by batch.
    batches: Vec<Vec<Vec<Event>>>,
    /// How often a connection breaks, all in all.
    breaks: u8,
    /// How often a writer gives up waiting.
    time_outs: u8,
    flaw: Option<Flaw>,
}

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Positions are computed from the head as it was at the look.
    NumbersBeforeItLocks,
    /// Positions come from a sequence, which waits for nobody and takes nothing back.
    NumbersFromSequence,
    /// The head moves in a transaction of its own.
    MovesHeadApart,
    /// Nothing refuses an event that was stored after the look.
    NoPrimaryKey,
    /// An event is acknowledged once it is inserted.
    AcknowledgesBeforeCommit,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// What is committed, in the order of the commits.
    log: Vec<Row>,
    /// The committed head.
    head: Position,
    /// Which session has the head's lock.
    locked_by: Option<usize>,
    /// The database's sessions: one for each writer, then those that were given up.
    sessions: Vec<Option<Session>>,
    writers: Vec<Writer>,
    /// Somebody who reads on from the last position that he saw.
    reader: Reader,
    /// The next number of a sequence; only a flaw has one.
    sequence: Position,
    breaks: u8,
    time_outs: u8,
    /// Whether the primary key ever refused an event.
    has_refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    position: Position,
    event: Event,
}

/// An append, as the database does it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    /// The number of the writer's batch.
    batch: usize,
    events: Vec<Event>,
    /// Where those are that the log had at the look.
    known: Vec<Option<Position>>,
    /// The others get the positions after this.
    base: Position,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Looked,
    Numbered,
    Inserted,
    Committed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Writer {
    /// Its next batch.
    batch: usize,
    /// What it acknowledged.
    acknowledged: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Outcome {
    row: Row,
    /// Stored now, or known before.
    is_new: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Reader {
    at: Position,
    got: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A writer's session looks which events of the batch the log has.
    Look(usize),
    /// A session moves the head, which locks it.
    MoveHead(usize),
    /// A session inserts what is new.
    Insert(usize),
    Commit(usize),
    /// A writer hears from its session, and acknowledges.
    Acknowledge(usize),
    /// A writer's connection breaks: what is not committed is rolled back.
    Break(usize),
    /// A writer gives up waiting for its session, which goes on.
    TimeOut(usize),
    /// The reader reads on.
    Read,
}

impl Session {
    /// Its new events, with their positions.
    fn new_rows(&self) -> impl Iterator<Item = Row> {
        let new = self.events.iter().zip(&self.known).filter(|(_, known)| known.is_none());
        new.zip(self.base + 1..).map(|((event, _), position)| Row { position, event: *event })
    }

    /// What is told of each of its events.
    fn outcomes(&self) -> Vec<Outcome> {
        let mut new = self.new_rows();
        let events = self.events.iter().zip(&self.known);
        let outcomes = events.filter_map(|(event, known)| match known {
            Some(position) => Some(Outcome { row: Row { position: *position, event: *event }, is_new: false }),
            None => new.next().map(|row| Outcome { row, is_new: true }),
        });
        outcomes.collect()
    }
}

impl State {
    fn position_of(&self, event: Event) -> Option<Position> {
        self.log.iter().find(|row| row.event == event).map(|row| row.position)
    }

    fn roll_back(&mut self, session: usize) {
        self.sessions[session] = None;
        if self.locked_by == Some(session) {
            self.locked_by = None;
        }
    }
}

impl Append {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn look(&self, state: &mut State, writer: usize) {
        let batch = state.writers[writer].batch;
        let events = self.batches[writer][batch].clone();
        let known: Vec<_> = events.iter().map(|event| state.position_of(*event)).collect();
        let mut session = Session { batch, events, known, base: state.head, step: Step::Looked };
        if self.is(Flaw::NumbersFromSequence) {
            session.base = state.sequence;
            state.sequence = session.new_rows().last().map_or(session.base, |row| row.position);
            session.step = Step::Numbered;
        }
        state.sessions[writer] = Some(session);
    }

    fn move_head(&self, state: &mut State, number: usize) {
        let Some(session) = &mut state.sessions[number] else { return };
        if !self.is(Flaw::NumbersBeforeItLocks) {
            session.base = state.head;
        }
        session.step = Step::Numbered;
        if self.is(Flaw::MovesHeadApart) {
            state.head = session.new_rows().last().map_or(session.base, |row| row.position);
        } else {
            state.locked_by = Some(number);
        }
    }

    fn insert(&self, state: &mut State, number: usize) {
        let Some(session) = &mut state.sessions[number] else { return };
        let is_there = |row: Row| state.log.iter().any(|stored| stored.event == row.event);
        if session.new_rows().any(is_there) && !self.is(Flaw::NoPrimaryKey) {
            state.has_refused = true;
            state.roll_back(number);
        } else {
            session.step = Step::Inserted;
        }
    }

    fn commit(&self, state: &mut State, number: usize) {
        let Some(session) = &mut state.sessions[number] else { return };
        session.step = Step::Committed;
        let rows: Vec<_> = session.new_rows().collect();
        if !self.is(Flaw::MovesHeadApart) {
            state.head = rows.last().map_or(state.head, |row| row.position);
        }
        state.log.extend(rows);
        state.locked_by = state.locked_by.filter(|holder| *holder != number);
        if number >= self.batches.len() {
            // Nobody waits for it.
            state.sessions[number] = None;
        }
    }

    fn time_out(&self, state: &mut State, writer: usize) {
        state.time_outs -= 1;
        let left = state.sessions[writer].take();
        if left.as_ref().is_some_and(|session| session.step == Step::Committed) {
            return;
        }
        let number = self.batches.len() + usize::from(state.time_outs);
        state.sessions[number] = left;
        if state.locked_by == Some(writer) {
            state.locked_by = Some(number);
        }
    }
}

impl Model for Append {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let writers = self.batches.len();
        vec![State {
            log: Vec::new(),
            head: 0,
            locked_by: None,
            sessions: vec![None; writers + usize::from(self.time_outs)],
            writers: vec![Writer::default(); writers],
            reader: Reader::default(),
            sequence: 0,
            breaks: self.breaks,
            time_outs: self.time_outs,
            has_refused: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, session) in state.sessions.iter().enumerate() {
            let has_writer = number < self.batches.len();
            match session {
                None if has_writer && state.writers[number].batch < self.batches[number].len() => {
                    actions.push(Action::Look(number));
                }
                None => continue,
                Some(session) => match session.step {
                    Step::Looked if state.locked_by.is_none() => actions.push(Action::MoveHead(number)),
                    Step::Looked | Step::Committed => {}
                    Step::Numbered => actions.push(Action::Insert(number)),
                    Step::Inserted => actions.push(Action::Commit(number)),
                },
            }
            if has_writer && let Some(session) = session {
                let is_told = if self.is(Flaw::AcknowledgesBeforeCommit) { Step::Inserted } else { Step::Committed };
                if session.step == is_told && session.batch == state.writers[number].batch {
                    actions.push(Action::Acknowledge(number));
                }
                if state.breaks > 0 {
                    actions.push(Action::Break(number));
                }
                if state.time_outs > 0 {
                    actions.push(Action::TimeOut(number));
                }
            }
        }
        if state.log.iter().any(|row| row.position > state.reader.at) {
            actions.push(Action::Read);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Look(writer) => self.look(&mut state, writer),
            Action::MoveHead(session) => self.move_head(&mut state, session),
            Action::Insert(session) => self.insert(&mut state, session),
            Action::Commit(session) => self.commit(&mut state, session),
            Action::Acknowledge(writer) => {
                let outcomes = state.sessions[writer].as_ref()?.outcomes();
                state.writers[writer].acknowledged.extend(outcomes);
                state.writers[writer].batch += 1;
                if !self.is(Flaw::AcknowledgesBeforeCommit) {
                    state.sessions[writer] = None;
                }
            }
            Action::Break(writer) => {
                state.breaks -= 1;
                state.roll_back(writer);
            }
            Action::TimeOut(writer) => self.time_out(&mut state, writer),
            Action::Read => {
                let mut rows: Vec<_> = state.log.iter().filter(|row| row.position > state.reader.at).collect();
                rows.sort_by_key(|row| row.position);
                state.reader.at = rows.last()?.position;
                state.reader.got.extend(rows.iter().map(|row| row.event));
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(IN_ORDER, |_, state: &State| {
                state.log.iter().zip(1..).all(|(row, position)| row.position == position)
            }),
            Property::always(ONCE, |_, state: &State| {
                let mut events: Vec<_> = state.log.iter().map(|row| row.event).collect();
                events.sort_unstable();
                events.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always(THERE, |_, state: &State| {
                state.writers.iter().flat_map(|writer| &writer.acknowledged).all(|told| state.log.contains(&told.row))
            }),
            Property::always(NEW_ONCE, |_, state: &State| {
                let all = state.writers.iter().flat_map(|writer| &writer.acknowledged).filter(|told| told.is_new);
                let mut new: Vec<_> = all.map(|told| told.row.event).collect();
                new.sort_unstable();
                new.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always(READ_ALL, |_, state: &State| {
                let passed = state.log.iter().filter(|row| row.position <= state.reader.at);
                passed.clone().count() == state.reader.got.len()
                    && passed.clone().all(|row| state.reader.got.contains(&row.event))
            }),
            Property::sometimes("every batch is acknowledged", |model: &Self, state: &State| {
                state.writers.iter().zip(&model.batches).all(|(writer, batches)| writer.batch == batches.len())
            }),
            Property::sometimes("the primary key refuses an event", |_, state: &State| state.has_refused),
            Property::sometimes("the answer to a commit is lost, and the event is known then", |_, state: &State| {
                let told = |row: &Row| {
                    let mut told = state.writers.iter().flat_map(|writer| &writer.acknowledged);
                    told.any(|told| told.row == *row && told.is_new)
                };
                let known = state.writers.iter().flat_map(|writer| &writer.acknowledged).filter(|told| !told.is_new);
                known.clone().any(|known| !told(&known.row)) && state.sessions.iter().all(Option::is_none)
            }),
        ]
    }
}

const IN_ORDER: &str = "positions are 1, 2, 3 … in the order of the commits";
const ONCE: &str = "no event is in the log twice";
const THERE: &str = "what is acknowledged is in the log, where the acknowledgement says";
const NEW_ONCE: &str = "an event is acknowledged as new at most once";
const READ_ALL: &str = "who reads on from the last position that he saw gets each event once";
