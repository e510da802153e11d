//! Model of how a subscriber gets from history to live: the tail reader, the window, the feeds, and a feed's member.
//!
//! Several gateways commit events to one database. A gateway's tail reader learns of commits by hints: its own
//! gateway's commits come with their events, in any order; NOTIFY only reports that another gateway has appended. Every
//! hint may be late or lost.
//! 1. The tail reader pushes a commit that is next to the window, and then routes it to the feeds. A commit out of
//!    order opens a gap; the tail reader keeps that commit if there is room, and reads the store if there is none. The
//!    tail reader also reads the store when the gap's deadline has passed, whatever other hints come, and at once after
//!    NOTIFY. A poll finds commits whose hints were lost. The tail reader receives hints while it reads the store, too.
//! 2. A subscriber without `after` starts at the head, which is found by a look-up that began after its request.
//!    Several subscribers share a look-up.
//! 3. A member reads the store until the window has its place, then the window, then its feed. Before it reads the
//!    feed, it reads the position through which events were routed. A feed that is then empty has nothing for the
//!    member through that position.
//! 4. At the feed's end the member registers as waiting, looks at the feed once more, and only then sleeps. Once events
//!    were routed to a feed, the members that wait there are visited.
//! 5. The window and the feeds may drop their oldest events at any time; a member that is too late reads the store.
//! 6. A connection may break at any time. The client then resumes from its last position, at this gateway or at
//!    another.
//!
//! The program differs from the model in these points (`src/live/tail/reader.rs`):
//! * NATS brings the events of other gateways, too. While it works, NOTIFY starts a read after 100 ms only, and most
//!   polls are left out.
//! * A read that NOTIFY starts ends where the first kept commit begins, and others follow up to the position that
//!   NOTIFY named; a poll that comes due together with such a read is dropped. In the model, one read goes to the log's
//!   end.
//! * The deadline of a gap counts from the arrival of the commit behind it; in the model, from the last push.
//! * The tail reader drops all kept commits, and not only the newest one, when they become too large.
//! * This model has no restores: they are in `eras.rs`. A store that ends before a kept commit, as after a restore, is
//!   here a store that answered before that commit.

mod flaws;
mod member;
mod tail;

use stateright::{Model, Property};

use member::{Member, Step};
use tail::{Failure, Tail};

type Position = u8;

/// Parameters of the model: a gateway, the database, and a subscriber.
#[derive(Clone, Debug)]
struct HandOver {
    /// Events that will be committed: true for each one that the subscriber wants.
    wanted: &'static [bool],
    /// True when the tail reader goes by hints; else it may push committed events at any time.
    has_hints: bool,
    /// Number of commits out of order that the tail reader has room for.
    early: usize,
    /// Number of hints that may be lost, in total.
    losses: u8,
    has_subscriber: bool,
    /// Number of times that the window or the feed may drop its events, in total.
    forgets: u8,
    /// Number of times that the subscriber's connection may break.
    cuts: u8,
    flaw: Option<Flaw>,
}

/// A variant of the protocol that leaves one rule out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Each of this gateway's own commits restarts the deadline of a gap.
    DeadlineForEachCommit,
    /// The tail reader does not receive NOTIFY while there is a gap.
    DeafInGap,
    /// The tail reader receives no hint while it reads the store.
    DeafWhileReading,
    /// The tail reader drops a commit for which it has no room, and does not read the store instead.
    ForgetsEarly,
    /// The tail reader drops its kept commits when the store ends before them, and does not read the store again.
    DropsForGood,
    /// NOTIFY during a read of the store starts no other read, although the running one may be older than the commit.
    RunningReadCounts,
    /// The tail reader pushes what a read found, even if commits have taken the window further meanwhile.
    ReadGoesBack,
    /// The tail reader does not poll.
    NothingPolls,
    /// The tail reader pushes a commit out of order at once.
    NoGapRule,
    /// A subscriber without `after` starts at the last position that this gateway appended.
    FromOwnAppends,
    /// A subscriber without `after` takes the answer of a look-up that began before its request.
    SharesOlderLookUp,
    /// A member reads its feed first, and then the position through which events were routed.
    ThroughAfterFeed,
    /// The router reports events as routed before the feeds have them.
    RoutedBeforeOffered,
    /// A member that has registered as waiting sleeps without another look at its feed.
    SleepsAtOnce,
    /// A feed answers as if the events that it dropped had never existed.
    FeedHidesWhatItForgot,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// Committed events, in the order of their positions, each with its hint.
    events: Vec<Event>,
    tail: Tail,
    /// Position after which the window has every event.
    window_start: Position,
    feed: Feed,
    /// Position through which events were routed: every feed has those that it wants.
    routed: Position,
    /// Look-up of the head that is under way.
    look_up: Option<LookUp>,
    member: Member,
    losses: u8,
    forgets: u8,
    cuts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Event {
    /// True when this gateway committed the event.
    is_own: bool,
    hint: Hint,
}

/// State of a commit's hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hint {
    UnderWay,
    /// A hint that has arrived and waits for the tail reader.
    Here,
    /// A hint that the tail reader has received, or that was lost.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Feed {
    /// Position after which the feed has each event that it wants, through `offered`.
    start: Position,
    offered: Position,
    /// True when a visit to the members that wait is due.
    is_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
struct LookUp {
    answer: Option<Position>,
    /// True when the look-up began after the subscriber's request.
    is_for_subscriber: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Commit {
        is_own: bool,
    },
    /// A hint arrives at the gateway.
    Arrive(Position),
    /// A hint is lost on its way.
    Lose(Position),
    /// The tail reader receives a hint.
    Hear(Position),
    /// Time passes: as much as a gap may wait.
    Tick,
    Poll,
    StartRead,
    /// The database answers the read, as of now.
    AnswerRead,
    EndRead,
    /// The tail reader pushes events through a position; only where it does not go by hints.
    Push(Position),
    /// The router offers the next event to the feeds.
    Offer,
    /// The router reports the position through which events were routed.
    Route,
    /// The members that wait are visited.
    Visit,
    WindowForgets,
    FeedForgets,
    BeginLookUp,
    AnswerLookUp,
    EndLookUp,
    Subscribe,
    /// The subscriber takes its next step.
    Member,
    /// The subscriber's connection breaks. The subscriber resumes at this gateway or, with `comes_to`, at another one,
    /// whose tail reader is at that position.
    Cut {
        comes_to: Option<Position>,
    },
}

impl HandOver {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn wants(&self, position: Position) -> bool {
        self.wanted[usize::from(position) - 1]
    }

    /// Returns the positions after one and through another whose events the subscriber wants.
    fn wanted_in(&self, after: Position, through: Position) -> impl Iterator<Item = Position> {
        (after + 1..=through).filter(|position| self.wants(*position))
    }

    /// Adds the steps that happen sooner or later by themselves. Where none remains, every event must be delivered.
    fn add_progress(&self, state: &State, actions: &mut Vec<Action>) {
        if state.events.len() < self.wanted.len() {
            actions.extend([Action::Commit { is_own: true }, Action::Commit { is_own: false }]);
        }
        for (event, position) in state.events.iter().zip(1..) {
            match event.hint {
                Hint::UnderWay => actions.push(Action::Arrive(position)),
                Hint::Here if self.hears(state, *event) => actions.push(Action::Hear(position)),
                Hint::Here | Hint::Gone => {}
            }
        }
        self.add_steps_of_tail(state, actions);
        if self.has_subscriber {
            Self::add_steps_of_member(state, actions);
        }
    }

    /// Adds the faults that may happen besides: lost hints, dropped events and broken connections.
    fn add_faults(state: &State, actions: &mut Vec<Action>) {
        for (event, position) in state.events.iter().zip(1..) {
            if event.hint == Hint::UnderWay && state.losses > 0 {
                actions.push(Action::Lose(position));
            }
        }
        if state.forgets > 0 && state.window_start < state.tail.through {
            actions.push(Action::WindowForgets);
        }
        if state.forgets > 0 && state.member.has_joined() && state.feed.start < state.feed.offered {
            actions.push(Action::FeedForgets);
        }
        if state.cuts > 0 && state.member.has_joined() {
            actions.push(Action::Cut { comes_to: None });
            actions.extend((0..=state.head()).map(|through| Action::Cut { comes_to: Some(through) }));
        }
    }
}

impl State {
    fn head(&self) -> Position {
        self.events.len().try_into().unwrap_or(Position::MAX)
    }

    fn hint(&mut self, position: Position) -> &mut Hint {
        &mut self.events[usize::from(position) - 1].hint
    }
}

impl Model for HandOver {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            events: Vec::new(),
            tail: Tail::default(),
            window_start: 0,
            feed: Feed::default(),
            routed: 0,
            look_up: None,
            member: Member::default(),
            losses: self.losses,
            forgets: self.forgets,
            cuts: self.cuts,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.add_progress(state, actions);
        Self::add_faults(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Commit { is_own } => {
                let hint = if self.has_hints { Hint::UnderWay } else { Hint::Gone };
                state.events.push(Event { is_own, hint });
            }
            Action::Arrive(position) => *state.hint(position) = Hint::Here,
            Action::Lose(position) => {
                state.losses -= 1;
                *state.hint(position) = Hint::Gone;
            }
            Action::Hear(position) => self.hear(&mut state, position),
            Action::Tick => Self::tick(&mut state),
            Action::Poll => state.tail.must_read = true,
            Action::StartRead => state.tail.start_read(),
            Action::AnswerRead => Tail::answer_read(&mut state),
            Action::EndRead => self.end_read(&mut state)?,
            Action::Push(through) => state.tail = Tail::at(through),
            Action::Offer => state.feed.offered += 1,
            Action::Route => self.route(&mut state),
            Action::Visit => self.visit(&mut state),
            Action::WindowForgets => {
                state.forgets -= 1;
                state.window_start = state.tail.through;
            }
            Action::FeedForgets => {
                state.forgets -= 1;
                state.feed.start = state.feed.offered;
            }
            Action::BeginLookUp => {
                let is_for_subscriber = matches!(state.member.step, Step::Asked { .. });
                state.look_up = Some(LookUp { answer: None, is_for_subscriber });
            }
            Action::AnswerLookUp => state.look_up.as_mut()?.answer = Some(last.head()),
            Action::EndLookUp => self.end_look_up(&mut state)?,
            Action::Subscribe => self.subscribe(&mut state),
            Action::Member => self.step(&mut state),
            Action::Cut { comes_to } => self.cut(&mut state, comes_to),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(PROMPT, |_, state: &State| state.tail.failure != Some(Failure::Overdue)),
            Property::always(HINTS_RECEIVED, |_, state: &State| state.tail.failure != Some(Failure::HintLeft)),
            Property::always(REMEMBERED, |_, state: &State| state.tail.remembers_hints()),
            Property::always(ALL_PUSHED, |_, state: &State| state.tail.failure != Some(Failure::OutOfTurn)),
            Property::always(COMPLETE_AT_END, |model: &Self, state: &State| {
                let mut actions = Vec::new();
                model.add_progress(state, &mut actions);
                let is_at_end = !model.has_subscriber || state.member.at == state.head();
                !actions.is_empty()
                    || state.tail.through == state.head()
                        && model.is_served(state)
                        && (is_at_end || state.member.is_waiting())
            }),
            Property::sometimes("all is pushed", |model: &Self, state: &State| {
                usize::from(state.tail.through) == model.wanted.len()
            }),
        ];
        if self.has_hints {
            properties.push(Property::sometimes("a gap is read", |_, state: &State| state.tail.reads_gap()));
        }
        if self.has_subscriber {
            properties.extend([
                Property::always(EXACT, |model: &Self, state: &State| {
                    state.member.got.iter().copied().eq(model.wanted_in(state.member.start, state.member.at))
                }),
                Property::always(FROM_NOW, |_, state: &State| !state.member.started_wrong),
                Property::always(WOKEN, |model: &Self, state: &State| {
                    !state.member.is_asleep() || state.feed.is_due || model.is_served(state)
                }),
                Property::sometimes("the subscriber sleeps, and is about to be visited", |_, state: &State| {
                    state.member.is_asleep() && state.feed.is_due
                }),
            ]);
        }
        properties
    }
}

const PROMPT: &str = "a gap is read by its deadline";
const HINTS_RECEIVED: &str = "a hint that has arrived is received before time passes";
const REMEMBERED: &str = "a hint beyond the window has a deadline or a read";
const ALL_PUSHED: &str = "the window gets every event, in order";
const COMPLETE_AT_END: &str = "when no step is left, all events are pushed and delivered";
const EXACT: &str = "a subscriber gets each event that it wants once, in order";
const FROM_NOW: &str =
    "a subscription from now on gets no event from before its request, and each one from after its answer";
const WOKEN: &str = "no member sleeps while its feed has events for it and no visit is due";
