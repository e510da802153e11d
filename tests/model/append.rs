//! Model of appends: how concurrent writers give events their positions.
//!
//! The writers of several gateways append batches of events to one database, each batch in a transaction. The log's
//! head is a row that holds the newest position. A writer takes these steps:
//! 1. A statement looks up which of the events are in the log already, before the transaction locks the head.
//! 2. An update adds the number of the other events to the head, and locks it until the transaction ends. The new
//!    events get the positions that follow the head's old value.
//! 3. The new events are inserted. The primary key refuses an event that another writer stored after the look-up; the
//!    writer then starts the batch again.
//! 4. The commit releases the head.
//! 5. The writer receives the answer to the commit and acknowledges each event: as new, or as already known.
//!
//! A connection may break at any step. The database then rolls the transaction back, unless it had committed; the
//! writer starts the batch again without knowing which. A writer may also give up waiting, and start again on another
//! connection while the database still executes the first transaction. Several writers may receive the same event.
//!
//! The program has these steps in `src/log/writer.rs`, `src/store/append.rs` and `log_append`
//! (`src/store/append/log_append.sql`). A single event takes them in one statement
//! (`src/store/append/log_append_lone.sql`), whose snapshot is as old as the look-up.

mod flaws;

use stateright::{Model, Property};

/// Identity of an event: in the program, its org and its uuid.
type Event = u8;
type Position = u8;

/// Parameters of the model: the writers of a database, and their faults.
#[derive(Clone, Debug)]
struct Append {
    /// Events that each writer has to append: a list of batches for each writer.
    batches: Vec<Vec<Vec<Event>>>,
    /// Number of times that a connection may break, in total.
    breaks: u8,
    /// Number of times that a writer may give up waiting, in total.
    time_outs: u8,
    flaw: Option<Flaw>,
}

/// A variant of the protocol that leaves one rule out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Positions are computed from the head's value at the look-up, and not from its value under the lock.
    NumbersBeforeItLocks,
    /// Positions come from a sequence, which makes no writer wait and takes no number back after a rollback.
    NumbersFromSequence,
    /// The head moves in a transaction of its own, which commits before the events do.
    MovesHeadApart,
    /// The insert accepts an event that was stored after the look-up.
    NoPrimaryKey,
    /// The writer acknowledges events after the insert, before the commit.
    AcknowledgesBeforeCommit,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// Committed rows, in the order of the commits.
    log: Vec<Row>,
    /// The committed head.
    head: Position,
    /// Session that holds the head's lock.
    locked_by: Option<usize>,
    /// The database's sessions: one for each writer, then those for which a writer gave up waiting.
    sessions: Vec<Option<Session>>,
    writers: Vec<Writer>,
    /// A reader that repeatedly reads everything after the last position that it has seen.
    reader: Reader,
    /// Last number taken from the sequence; used only by `Flaw::NumbersFromSequence`.
    sequence: Position,
    breaks: u8,
    time_outs: u8,
    /// True once the primary key has refused an event.
    has_refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    position: Position,
    event: Event,
}

/// A transaction that appends a batch, as the database executes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    /// Index of the batch among those of its writer.
    batch: usize,
    events: Vec<Event>,
    /// Position of each event that the look-up found in the log; None for the others.
    known: Vec<Option<Position>>,
    /// Position after which the other events are numbered.
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
    /// Index of the first batch that is not acknowledged.
    batch: usize,
    /// Acknowledgements, in the order in which the writer sent them.
    acknowledged: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Outcome {
    row: Row,
    /// True when this append stored the event; false when the log had it already.
    is_new: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Reader {
    at: Position,
    got: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A writer's session looks up which events of the batch the log has.
    Look(usize),
    /// A session moves the head, and so locks it.
    MoveHead(usize),
    /// A session inserts its new events.
    Insert(usize),
    Commit(usize),
    /// A writer receives its session's answer and acknowledges the events.
    Acknowledge(usize),
    /// A writer's connection breaks: the database rolls back what is not committed.
    Break(usize),
    /// A writer gives up waiting for its session, which continues in the database.
    TimeOut(usize),
    /// The reader reads everything after its position.
    Read,
}

impl Session {
    /// Returns the rows of the new events, numbered after `base`.
    fn new_rows(&self) -> impl Iterator<Item = Row> {
        let new = self.events.iter().zip(&self.known).filter(|(_, known)| known.is_none());
        new.zip(self.base + 1..).map(|((event, _), position)| Row { position, event: *event })
    }

    /// Returns the acknowledgement of each event of the batch.
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
            // The writer gave up waiting for this session: no acknowledgement follows.
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
                let acknowledged_at =
                    if self.is(Flaw::AcknowledgesBeforeCommit) { Step::Inserted } else { Step::Committed };
                if session.step == acknowledged_at && session.batch == state.writers[number].batch {
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
            Property::always(DURABLE, |_, state: &State| {
                state.writers.iter().flat_map(|writer| &writer.acknowledged).all(|one| state.log.contains(&one.row))
            }),
            Property::always(NEW_ONCE, |_, state: &State| {
                let all = state.writers.iter().flat_map(|writer| &writer.acknowledged).filter(|one| one.is_new);
                let mut new: Vec<_> = all.map(|one| one.row.event).collect();
                new.sort_unstable();
                new.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always(READ_ONCE, |_, state: &State| {
                let passed = state.log.iter().filter(|row| row.position <= state.reader.at);
                passed.clone().count() == state.reader.got.len()
                    && passed.clone().all(|row| state.reader.got.contains(&row.event))
            }),
            Property::sometimes("every batch is acknowledged", |model: &Self, state: &State| {
                state.writers.iter().zip(&model.batches).all(|(writer, batches)| writer.batch == batches.len())
            }),
            Property::sometimes("the primary key refuses an event", |_, state: &State| state.has_refused),
            Property::sometimes("the answer to a commit is lost, and the event is known then", |_, state: &State| {
                let acknowledged = || state.writers.iter().flat_map(|writer| &writer.acknowledged);
                let is_acknowledged_as_new = |row: &Row| acknowledged().any(|one| one.row == *row && one.is_new);
                acknowledged().any(|one| !one.is_new && !is_acknowledged_as_new(&one.row))
                    && state.sessions.iter().all(Option::is_none)
            }),
        ]
    }
}

const IN_ORDER: &str = "positions are 1, 2, 3 … in the order of the commits";
const ONCE: &str = "no event is in the log twice";
const DURABLE: &str = "an acknowledged event is in the log, at the acknowledged position";
const NEW_ONCE: &str = "an event is acknowledged as new at most once";
const READ_ONCE: &str = "a reader that goes on from its last position gets each event once";
