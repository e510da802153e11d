//! Steps of the subscriber: how it starts, and what it does as a member of a feed.

use super::{Action, Event, Feed, Flaw, HandOver, Hint, Position, State, Tail};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Member {
    pub(super) step: Step,
    /// Position after which the subscriber wants events.
    pub(super) start: Position,
    /// Position through which the subscriber has got them.
    pub(super) at: Position,
    /// Positions of the events that the subscriber got, in this order.
    pub(super) got: Vec<Position>,
    /// True when the start was before the head at the request, or after the head at the answer.
    pub(super) started_wrong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) enum Step {
    /// The subscriber has not subscribed.
    #[default]
    Away,
    /// The subscriber asked for events from now on, when the head was at `head`.
    Asked { head: Position },
    /// The subscriber knows where it starts; its next step is to join its feed.
    Starts,
    /// The member is about to read on.
    Reads,
    /// The member knows the position through which events were routed; its next step is to read its feed.
    KnowsThrough(Position),
    /// The member found its feed empty; its next step is to read the position through which events were routed. Used
    /// only by `Flaw::ThroughAfterFeed`.
    FoundNothing,
    /// The member reads the store, through the position in the answer once there is one.
    ReadsStore(Option<Position>),
    /// The member has read its feed to the end; its next step is to register as waiting.
    IsAtEnd,
    /// The member is registered, so that visits find it; its next step is another look at its feed.
    Sits,
    /// The member sleeps. A visit brings it events, or makes it read on by itself.
    Sleeps,
}

impl Member {
    /// Returns true when the subscriber is a member of a feed.
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
    /// Returns the positions that the feed has after a position, or None where the feed does not go back so far.
    fn feed_after(&self, feed: &Feed, after: Position) -> Option<Vec<Position>> {
        let reaches = after >= feed.start || self.is(Flaw::FeedHidesWhatItForgot);
        reaches.then(|| self.wanted_in(after.max(feed.start), feed.offered).collect())
    }

    /// Returns true when every routed event that the subscriber wants has reached it, or it has not joined a feed.
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
            // The router holds a lock while it offers events: no member joins a feed meanwhile.
            Step::Starts if is_routing => {}
            Step::Asked { .. } | Step::Sleeps => {}
            Step::Reads if Self::has_nothing_to_read(state) => {}
            _ => actions.push(Action::Member),
        }
    }

    /// Returns true when the member has read the whole log, beyond what was routed: it waits for the window to grow.
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

    /// Confirms the subscription, which starts after a position.
    fn start(state: &mut State, start: Position) {
        let Step::Asked { head } = state.member.step else { return };
        let started_wrong = start < head || start > state.head();
        (state.member.start, state.member.at, state.member.started_wrong) = (start, start, started_wrong);
        state.member.step = Step::Starts;
    }

    /// Takes the member's next step.
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

    /// Reads the feed, or the log where the feed does not go back so far.
    fn read_feed(&self, state: &mut State, through: Position) {
        let Some(entries) = self.feed_after(&state.feed, state.member.at) else { return self.read_log(state) };
        state.member.step = if entries.is_empty() { Step::IsAtEnd } else { Step::Reads };
        let at = entries.last().copied().unwrap_or(through);
        state.member.get(entries.into_iter(), at);
    }

    /// Reads the window, or begins to read the store where the window does not have the member's place.
    fn read_log(&self, state: &mut State) {
        let (at, through) = (state.member.at, state.tail.through);
        if state.window_start <= at && at <= through {
            state.member.get(self.wanted_in(at, through), through);
            state.member.step = Step::Reads;
        } else {
            state.member.step = Step::ReadsStore(None);
        }
    }

    /// Visits the member if it waits: brings it the events of its feed, or makes it read on by itself.
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

    /// Breaks the subscriber's connection. The subscriber resumes from its last position: at this gateway, or at
    /// another one, whose tail reader is at `comes_to`.
    pub(super) fn cut(&self, state: &mut State, comes_to: Option<Position>) {
        state.cuts -= 1;
        state.member.step = Step::Starts;
        // The one position that a client is sure to know is that of the last event that it got.
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
