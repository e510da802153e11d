//! How a subscriber gets from history to live: the tail reader, the window, the feeds, and the members of a feed.
//!
//! Gateways commit events to one database. This gateway's tail reader hears of them by hints: its own commits come with
//! their events, in any order; NOTIFY only says that other gateways appended. Every hint may be late, or lost.
//! 1. A commit that is next is pushed to the window and then routed to the feeds. One that comes out of turn is kept,
//!    if there is room, and opens a gap. A gap is read from the store once its deadline has passed, whatever else comes;
//!    what NOTIFY tells of is read at once; and a poll finds what no hint told of. Hints are heard while a read runs.
//! 2. A subscriber without `after` starts at the head, by a look-up that began after its request. The look-up is shared
//!    with others.
//! 3. A member reads the store until its place is in the window, then the window, then its feed. It reads through where
//!    events were routed before it reads the feed, so that an empty feed means that nothing is there.
//! 4. At the end it waits: it sits down, and looks again before it sleeps. Who routes an event visits those who wait.
//! 5. The window and the feeds forget their oldest events at any time; a member that is too late reads the store.
//! 6. A connection may be cut at any time. The client comes back with its last position, here or at another gateway.

mod flaws;
mod member;
mod tail;

use stateright::{Model, Property};

use member::{Member, Step};
use tail::{Failure, Tail};

type Position = u8;

/// A gateway, the database, and a subscriber.
#[derive(Clone, Debug)]
struct HandOver {
    /// For each event that will be committed, whether it is one that the subscriber wants.
    wanted: &'static [bool],
    /// Whether the tail reader goes by hints. If not, it pushes what is committed whenever it likes.
    has_hints: bool,
    /// How many commits out of turn are kept.
    early: usize,
    /// How many hints are lost, all in all.
    losses: u8,
    has_subscriber: bool,
    /// How often the window or the feed forgets what it has.
    forgets: u8,
    /// How often the subscriber is cut off.
    cuts: u8,
    flaw: Option<Flaw>,
}

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Every commit that comes lets a gap wait anew.
    DeadlineForEachCommit,
    /// NOTIFY is not heard while there is a gap.
    DeafInGap,
    /// Nothing is heard while the store is read.
    DeafWhileReading,
    /// A commit for which there is no room is forgotten, without a read.
    ForgetsEarly,
    /// A hint that is heard while the store is read starts no other read: the one that runs may be older.
    RunningReadCounts,
    /// What the store tells is pushed, also where commits have brought more meanwhile.
    ReadGoesBack,
    /// Nothing polls.
    NothingPolls,
    /// A commit out of turn is pushed as it comes.
    NoGapRule,
    /// Who subscribes from now on starts at the last position that this gateway appended.
    FromOwnAppends,
    /// Who subscribes from now on takes the answer of a look-up that had begun before.
    SharesOlderLookUp,
    /// A member reads its feed first, and then through where events were routed.
    ThroughAfterFeed,
    /// Events count as routed before they are with the feeds.
    RoutedBeforeOffered,
    /// A member does not look again between sitting down and sleeping.
    SleepsAtOnce,
    /// What a feed has forgotten counts as what it never had.
    FeedHidesWhatItForgot,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// What is committed, by position, and where its hint is.
    events: Vec<Event>,
    tail: Tail,
    /// The window has every event after this.
    window_start: Position,
    feed: Feed,
    /// Through where every feed has what it wants.
    routed: Position,
    /// Somebody looks where the head is.
    look_up: Option<LookUp>,
    member: Member,
    losses: u8,
    forgets: u8,
    cuts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Event {
    /// By this gateway.
    is_own: bool,
    hint: Hint,
}

/// Where the hint of a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hint {
    UnderWay,
    /// It waits for the tail reader.
    Here,
    /// It was heard, or lost.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Feed {
    /// It has what it wants after this, through `offered`.
    start: Position,
    offered: Position,
    /// Somebody is about to visit those who wait.
    is_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
struct LookUp {
    answer: Option<Position>,
    /// Whether the subscriber had asked when it began.
    is_for_subscriber: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Commit {
        is_own: bool,
    },
    /// A hint comes, or is lost.
    Arrive(Position),
    Lose(Position),
    /// The tail reader hears a hint.
    Hear(Position),
    /// As much time passes as a gap may wait.
    Tick,
    Poll,
    StartRead,
    /// The database answers the read.
    AnswerRead,
    EndRead,
    /// Where it does not go by hints, the tail reader pushes events through a position.
    Push(Position),
    /// An event is offered to the feeds.
    Offer,
    /// What was offered is told to be routed.
    Route,
    /// Those who wait are visited.
    Visit,
    WindowForgets,
    FeedForgets,
    BeginLookUp,
    AnswerLookUp,
    EndLookUp,
    Subscribe,
    /// The subscriber goes on: its next step.
    Member,
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

    /// What the subscriber wants after one position, through another.
    fn wanted_in(&self, after: Position, through: Position) -> impl Iterator<Item = Position> {
        (after + 1..=through).filter(|position| self.wants(*position))
    }

    /// What happens by itself, sooner or later: without it nobody may be left waiting.
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

    /// What may happen besides.
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
            Property::always(HEARD, |_, state: &State| state.tail.failure != Some(Failure::Unheard)),
            Property::always(KEPT, |_, state: &State| state.tail.sees_to_what_it_heard()),
            Property::always(ALL_PUSHED, |_, state: &State| state.tail.failure != Some(Failure::OutOfTurn)),
            Property::always(NOTHING_LEFT, |model: &Self, state: &State| {
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
                Property::always(AWAKE, |model: &Self, state: &State| {
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

const PROMPT: &str = "no gap waits longer than its deadline before it is read";
const HEARD: &str = "no hint waits unheard while time passes";
const KEPT: &str = "of what was heard and is not pushed, a deadline runs, or a read";
const ALL_PUSHED: &str = "the window gets every event, in order";
const NOTHING_LEFT: &str = "when nothing is left to happen, everybody has everything";
const EXACT: &str = "a subscriber gets each event that it wants once, in order";
const FROM_NOW: &str =
    "from now on means: nothing committed before the request, all that is committed after the answer";
const AWAKE: &str = "nobody sleeps while the feed has something for it and no visit is due";
