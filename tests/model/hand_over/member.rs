//! The subscriber: a member of a feed, and how it starts.

use super::{Action, Event, Feed, Flaw, HandOver, Hint, Position, State, Tail};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Member {
    pub(super) step: Step,
    /// It wants what is after this,
    pub(super) start: Position,
    /// and has got it through here:
    pub(super) at: Position,
    pub(super) got: Vec<Position>,
    /// Whether it started before its request or after the answer.
    pub(super) started_wrong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) enum Step {
    /// It has not subscribed.
    #[default]
    Away,
    /// It asked from now on, when this was the head.
    Asked { head: Position },
    /// It knows where it starts, and is to join its feed.
    Starts,
    /// It reads on.
    Reads,
    /// It knows through where events were routed, and is to read its feed.
    KnowsThrough(Position),
    /// The flaw: it found its feed empty, and is to read through where events were routed.
    FoundNothing,
    /// It reads the store, which has answered or not.
    ReadsStore(Option<Position>),
    /// Its feed has nothing more, and it is to sit down.
    IsAtEnd,
    /// It sits, where it can be visited, and is to look again.
    Sits,
    /// It sleeps, until it is called or visited.
    Sleeps,
}

impl Member {
    /// Whether it has a place in a feed.
    pub(super) fn has_joined(&self) -> bool {
        !matches!(self.step, Step::Away | Step::Asked { .. } | Step::Starts)
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.step == Step::Sleeps
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.step, Step::Sleeps | Step::Away)
    }

    fn get(&mut self, wanted: impl Iterator<Item = Position>, through: Position) {
        self.got.extend(wanted);
        self.at = through;
    }
}

impl HandOver {
    /// What the feed has after a position; None where it does not go back so far.
    fn feed_after(&self, feed: &Feed, after: Position) -> Option<Vec<Position>> {
        let reaches = after >= feed.start || self.is(Flaw::FeedHidesWhatItForgot);
        reaches.then(|| self.wanted_in(after.max(feed.start), feed.offered).collect())
    }

    /// Whether the subscriber's feed has nothing for it.
    pub(super) fn is_served(&self, state: &State) -> bool {
        !state.member.has_joined() || self.wanted_in(state.member.at, state.routed).next().is_none()
    }

    pub(super) fn add_steps_of_member(state: &State, actions: &mut Vec<Action>) {
        match state.look_up {
            None if state.member.has_joined() => {}
            None => actions.push(Action::BeginLookUp),
            Some(look_up) if look_up.answer.is_none() => actions.push(Action::AnswerLookUp),
            Some(_) => actions.push(Action::EndLookUp),
        }
        if state.feed.is_due {
            actions.push(Action::Visit);
        }
        let is_routing = Self::is_routing(state) && state.feed.offered > state.routed;
        match state.member.step {
            Step::Away => actions.push(Action::Subscribe),
            // Feeds cannot be joined while events are routed.
            Step::Starts if is_routing => {}
            Step::Asked { .. } | Step::Sleeps => {}
            Step::Reads if Self::has_nothing_to_read(state) => {}
            _ => actions.push(Action::Member),
        }
    }

    /// Whether it is at the end of what the window has, or has read more than that: it waits for the window to grow.
    fn has_nothing_to_read(state: &State) -> bool {
        let at = state.member.at;
        at > state.routed && at >= state.tail.through && at == state.head()
    }

    pub(super) fn subscribe(&self, state: &mut State) {
        state.member.step = Step::Asked { head: state.head() };
        if self.is(Flaw::FromOwnAppends) {
            let own = state.events.iter().zip(1..).filter(|(event, _)| event.is_own && event.hint != Hint::UnderWay);
            let last = own.map(|(_, position)| position).last().unwrap_or_default();
            Self::start(state, last);
        }
    }

    pub(super) fn end_look_up(&self, state: &mut State) -> Option<()> {
        let look_up = state.look_up.take()?;
        let has_asked = matches!(state.member.step, Step::Asked { .. });
        if has_asked && (look_up.is_for_subscriber || self.is(Flaw::SharesOlderLookUp)) {
            Self::start(state, look_up.answer?);
        }
        Some(())
    }

    /// The subscriber is told that it is subscribed, from a position on.
    fn start(state: &mut State, start: Position) {
        let Step::Asked { head } = state.member.step else { return };
        let started_wrong = start < head || start > state.head();
        (state.member.start, state.member.at, state.member.started_wrong) = (start, start, started_wrong);
        state.member.step = Step::Starts;
    }

    /// Its next step.
    pub(super) fn step(&self, state: &mut State) {
        let at = state.member.at;
        match state.member.step {
            Step::Starts => {
                (state.feed.start, state.feed.is_due) = (state.routed, false);
                state.member.step = Step::Reads;
            }
            Step::Reads if at > state.routed => self.read_log(state),
            Step::Reads if self.is(Flaw::ThroughAfterFeed) => match self.feed_after(&state.feed, at) {
                Some(entries) if entries.is_empty() => state.member.step = Step::FoundNothing,
                _ => self.read_feed(state, at),
            },
            Step::Reads => state.member.step = Step::KnowsThrough(state.routed),
            Step::KnowsThrough(through) => self.read_feed(state, through),
            Step::FoundNothing => {
                state.member.at = at.max(state.routed);
                state.member.step = Step::IsAtEnd;
            }
            Step::IsAtEnd => state.member.step = Step::Sits,
            Step::ReadsStore(None) => state.member.step = Step::ReadsStore(Some(state.head())),
            Step::ReadsStore(Some(head)) => {
                state.member.get(self.wanted_in(at, head), head);
                state.member.step = Step::Reads;
            }
            Step::Sits => {
                let is_quiet = self.feed_after(&state.feed, at).is_some_and(|entries| entries.is_empty());
                let must_read = (at > state.routed || !is_quiet) && !self.is(Flaw::SleepsAtOnce);
                state.member.step = if must_read { Step::Reads } else { Step::Sleeps };
            }
            Step::Away | Step::Asked { .. } | Step::Sleeps => {}
        }
    }

    /// Reads its feed, or the log where the feed does not go back so far.
    fn read_feed(&self, state: &mut State, through: Position) {
        let Some(entries) = self.feed_after(&state.feed, state.member.at) else { return self.read_log(state) };
        state.member.step = if entries.is_empty() { Step::IsAtEnd } else { Step::Reads };
        let at = entries.last().copied().unwrap_or(through);
        state.member.get(entries.into_iter(), at);
    }

    /// Reads the window, or the store where the window does not have its place.
    fn read_log(&self, state: &mut State) {
        let (at, through) = (state.member.at, state.tail.through);
        if state.window_start <= at && at <= through {
            state.member.get(self.wanted_in(at, through), through);
            state.member.step = Step::Reads;
        } else {
            state.member.step = Step::ReadsStore(None);
        }
    }

    /// Visits the subscriber where it waits: brings what there is, or calls it.
    pub(super) fn visit(&self, state: &mut State) {
        state.feed.is_due = false;
        if !matches!(state.member.step, Step::Sits | Step::Sleeps) {
            return;
        }
        let at = state.member.at;
        match self.feed_after(&state.feed, at).filter(|_| at <= state.routed) {
            None => state.member.step = Step::Reads,
            Some(entries) => {
                let last = entries.last().copied().unwrap_or(at);
                state.member.get(entries.into_iter(), last);
            }
        }
    }

    /// Cuts the subscriber off. It comes back with its last position, here, or at a gateway of which the tail reader is
    /// somewhere else.
    pub(super) fn cut(&self, state: &mut State, comes_to: Option<Position>) {
        state.cuts -= 1;
        state.member.step = Step::Starts;
        // What it knows for sure is the last event that it got.
        state.member.at = state.member.got.last().copied().unwrap_or(state.member.start);
        if let Some(through) = comes_to {
            state.tail = Tail::at(through);
            (state.window_start, state.routed) = (through, through);
            state.feed = Feed { start: through, offered: through, is_due: false };
            for (event, position) in state.events.iter_mut().zip(1..) {
                let hint = if position > through && self.has_hints { Hint::UnderWay } else { Hint::Gone };
                *event = Event { is_own: !event.is_own, hint };
            }
        }
    }
}
