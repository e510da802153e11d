//! Requests that share a commit.

use std::collections::HashMap;

use uuid::Uuid;

use super::writer::{AppendRequest, Outcome, Waiting};
use crate::event::IngestSource;
use crate::store::{Appended, DeliveryRecord, NewEvent};

/// Several requests of one way in, as one append: no event twice.
pub(super) struct Group {
    pub(super) source: IngestSource,
    pub(super) events: Vec<NewEvent>,
    pub(super) deliveries: Vec<DeliveryRecord>,
    seen: HashMap<(String, Uuid), usize>,
    members: Vec<Member>,
}

struct Member {
    waiting: Waiting,
    /// For each of its events the place in the group, and whether it is the one that stands there.
    places: Vec<(usize, bool)>,
}

impl Group {
    pub(super) fn new(source: IngestSource) -> Self {
        Self { source, events: Vec::new(), deliveries: Vec::new(), seen: HashMap::new(), members: Vec::new() }
    }

    pub(super) fn add(&mut self, mut waiting: Waiting) {
        let AppendRequest { events, deliveries, .. } = &mut waiting.request;
        self.deliveries.append(deliveries);
        let places = std::mem::take(events).into_iter().map(|new| self.place(new)).collect();
        self.members.push(Member { waiting, places });
    }

    fn place(&mut self, new: NewEvent) -> (usize, bool) {
        let next = self.events.len();
        let place = *self.seen.entry((new.org.clone(), new.event.occurrence.uuid)).or_insert(next);
        if place == next {
            self.events.push(new);
        }
        (place, place == next)
    }

    /// Tells every request what became of its events.
    pub(super) fn answer(self, outcomes: &[Outcome]) {
        for member in self.members {
            let told = member.places.iter().map(|(place, first)| match (&outcomes[*place], first) {
                (Outcome::Stored(position), false) => Outcome::Duplicate(*position),
                (outcome, _) => outcome.clone(),
            });
            // Who does not wait any more needs no answer.
            _ = member.waiting.reply.send(Ok(told.collect()));
        }
    }

    /// Tells every request that nothing was stored.
    pub(super) fn refuse(self) {
        for member in self.members {
            _ = member.waiting.reply.send(Err(super::AppendError::Unavailable));
        }
    }
}

impl From<Appended> for Outcome {
    fn from(appended: Appended) -> Self {
        if appended.is_new { Self::Stored(appended.position) } else { Self::Duplicate(appended.position) }
    }
}
