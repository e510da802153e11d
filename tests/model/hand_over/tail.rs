//! Steps of the tail reader, which fills the window and routes its events to the feeds.

use super::{Action, Event, Flaw, HandOver, Hint, Position, State};

/// Number of ticks that a gap may wait before the store is read.
const TURN: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Tail {
    /// Position through which the window was filled.
    pub(super) through: Position,
    /// Kept commits, which came out of order.
    early: Vec<Position>,
    /// Number of ticks that the gap before the first kept commit has waited for a read; None if there is no gap.
    gap: Option<u8>,
    /// Number of ticks on the timer that starts the read. A flaw resets the timer, but not `gap`.
    timer: u8,
    /// True when a read must start as soon as none is running.
    pub(super) must_read: bool,
    read: Option<Read>,
    /// Newest position of which a hint was received.
    hinted: Position,
    /// First failure, if there was one.
    pub(super) failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Failure {
    /// A gap waited for a read beyond its deadline.
    Overdue,
    /// A hint that had arrived waited while time passed.
    HintLeft,
    /// A push skipped events, or went back.
    OutOfTurn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Read {
    /// Position after which the store is read: the window's end at the start of the read.
    after: Position,
    /// Last position of the gap that is read; None for a read to the log's end.
    gap_end: Option<Position>,
    /// Position through which the database has read; None before it answers.
    answer: Option<Position>,
}

impl Tail {
    /// Returns the tail reader of a gateway whose window was filled through a position.
    pub(super) fn at(through: Position) -> Self {
        Self { through, hinted: through, ..Self::default() }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = self.failure.or(Some(failure));
    }

    /// Pushes events to the window, and records a failure if they are not next, as in some flaws.
    fn push(&mut self, through: Position, is_next: bool) {
        if !is_next {
            self.fail(Failure::OutOfTurn);
        }
        self.through = through;
    }

    fn push_what_is_due(&mut self) {
        let before = self.through;
        self.early.sort_unstable();
        while let Some(first) = self.early.first().copied().filter(|first| *first <= self.through + 1) {
            self.early.remove(0);
            self.through = self.through.max(first);
        }
        if self.early.is_empty() {
            (self.gap, self.timer) = (None, 0);
        } else if self.gap.is_none() || self.through > before {
            (self.gap, self.timer) = (Some(0), 0);
        }
    }

    pub(super) fn start_read(&mut self) {
        let gap_end = if self.must_read { None } else { self.early.first().map(|first| first - 1) };
        self.must_read = false;
        self.read = Some(Read { after: self.through, gap_end, answer: None });
    }

    pub(super) fn answer_read(state: &mut State) {
        let head = state.head();
        if let Some(read) = &mut state.tail.read {
            read.answer = Some(read.gap_end.map_or(head, |end| end.min(head)));
        }
    }

    /// Returns true when the tail reader must start a read now.
    fn is_to_read(&self) -> bool {
        self.read.is_none() && (self.must_read || self.gap.is_some() && self.timer >= TURN)
    }

    pub(super) fn reads_gap(&self) -> bool {
        self.read.is_some_and(|read| read.gap_end.is_some())
    }

    pub(super) fn remembers_hints(&self) -> bool {
        self.hinted <= self.through || self.gap.is_some() || self.must_read || self.read.is_some()
    }
}

impl HandOver {
    /// Returns true when the tail reader can receive the hint of an event now.
    pub(super) fn hears(&self, state: &State, event: Event) -> bool {
        let is_deaf = self.is(Flaw::DeafWhileReading) && state.tail.read.is_some()
            || self.is(Flaw::DeafInGap) && state.tail.gap.is_some() && !event.is_own;
        !is_deaf && !Self::is_routing(state)
    }

    /// Returns true while events in the window are still to be routed: the tail reader does nothing else meanwhile.
    pub(super) fn is_routing(state: &State) -> bool {
        state.tail.through > state.routed || state.feed.offered != state.routed
    }

    pub(super) fn add_steps_of_tail(&self, state: &State, actions: &mut Vec<Action>) {
        if Self::is_routing(state) {
            let is_offered = state.feed.offered == state.tail.through;
            let routes_first = self.is(Flaw::RoutedBeforeOffered) && state.routed < state.tail.through;
            actions.push(if is_offered || routes_first { Action::Route } else { Action::Offer });
            return;
        }
        if !self.has_hints {
            actions.extend((state.tail.through + 1..=state.head()).map(Action::Push));
            return;
        }
        let tail = &state.tail;
        if tail.is_to_read() {
            actions.push(Action::StartRead);
        } else if tail.read.is_none() && tail.through < state.head() && !self.is(Flaw::NothingPolls) {
            actions.push(Action::Poll);
        }
        if let Some(read) = tail.read {
            actions.push(if read.answer.is_some() { Action::EndRead } else { Action::AnswerRead });
        }
        let hears_something = state.events.iter().any(|event| event.hint == Hint::Here && self.hears(state, *event));
        let waits =
            tail.gap.is_some() && tail.read.is_none() || state.events.iter().any(|event| event.hint == Hint::Here);
        // A tick is longer than every step of the tail reader: those that it can take now come first.
        let is_ready = hears_something || tail.is_to_read() || tail.read.is_some_and(|read| read.answer.is_some());
        if waits && !is_ready {
            actions.push(Action::Tick);
        }
    }

    pub(super) fn tick(state: &mut State) {
        let has_hint = state.events.iter().any(|event| event.hint == Hint::Here);
        let tail = &mut state.tail;
        if has_hint {
            tail.fail(Failure::HintLeft);
        }
        if let Some(gap) = tail.gap.filter(|_| tail.read.is_none()) {
            if gap >= TURN {
                tail.fail(Failure::Overdue);
            }
            (tail.gap, tail.timer) = (Some((gap + 1).min(TURN)), (tail.timer + 1).min(TURN));
        }
    }

    pub(super) fn hear(&self, state: &mut State, position: Position) {
        *state.hint(position) = Hint::Gone;
        let is_own = state.events[usize::from(position) - 1].is_own;
        let tail = &mut state.tail;
        tail.hinted = tail.hinted.max(position);
        if position <= tail.through {
            return;
        }
        if self.is(Flaw::DeadlineForEachCommit) && is_own {
            tail.timer = 0;
        }
        if !is_own {
            // The database may have answered a running read before this commit.
            tail.must_read = tail.read.is_none() || !self.is(Flaw::RunningReadCounts);
        } else if position == tail.through + 1 || self.is(Flaw::NoGapRule) {
            tail.push(position, position == tail.through + 1);
            tail.push_what_is_due();
        } else if tail.early.len() < self.early {
            tail.early.push(position);
            tail.push_what_is_due();
        } else if !self.is(Flaw::ForgetsEarly) {
            tail.must_read = true;
        }
    }

    pub(super) fn end_read(&self, state: &mut State) -> Option<()> {
        let tail = &mut state.tail;
        let Read { after, answer, .. } = tail.read.take()?;
        let answer = answer?;
        if answer <= after && !tail.early.is_empty() {
            // After a restore, these commits would be those of a history that is gone. Here they arrived after the answer.
            tail.early.clear();
            tail.must_read = !self.is(Flaw::DropsForGood);
        }
        if answer > tail.through || self.is(Flaw::ReadGoesBack) {
            tail.push(answer, answer >= tail.through);
        }
        tail.push_what_is_due();
        Some(())
    }

    pub(super) fn route(&self, state: &mut State) {
        // A visit brings the subscriber what the feed was offered.
        state.feed.is_due |= self.wanted_in(state.routed, state.tail.through).next().is_some();
        state.routed = state.tail.through;
    }
}
