//! Requests that share a commit.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::append_request::{AppendError, AppendRequest, Outcome, Waiting};
use crate::event::{Details, EventColumn, IngestSource, ReceivedEvent, SyncEvent};
use crate::store::{Appended, CursorMove, DeliveryRecord, NewEvent};

/// Several requests of one way in, as one append: no event twice.
pub(super) struct Group {
    pub(super) source: IngestSource,
    pub(super) events: Vec<NewEvent>,
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// Moves with the events of the only request of the group.
    pub(super) cursor: Option<CursorMove>,
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
        Self {
            source,
            events: Vec::new(),
            deliveries: Vec::new(),
            cursor: None,
            seen: HashMap::new(),
            members: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, mut waiting: Waiting) {
        let AppendRequest { events, deliveries, .. } = &mut waiting.request;
        self.deliveries.append(deliveries);
        self.cursor = waiting.cursor.take().or(self.cursor.take());
        let places = std::mem::take(events).into_iter().map(|new| self.place(new)).collect();
        self.members.push(Member { waiting, places });
    }

    fn place(&mut self, new: NewEvent) -> (usize, bool) {
        let next = self.events.len();
        let place = *self.seen.entry((new.org.clone(), new.event.occurrence.uuid)).or_insert(next);
        match self.events.get_mut(place) {
            Some(first) => first.came_again(new.comings()),
            None => self.events.push(new),
        }
        (place, place == next)
    }

    /// Tells every request what became of its events, and gives those that are new, in the order of the log.
    pub(super) fn answer(self, written: Vec<Written>) -> Vec<Arc<SyncEvent>> {
        for member in self.members {
            let told = member.places.iter().filter_map(|(place, first)| {
                let event = self.events.get(*place)?;
                written.get(*place).map(|written| written.outcome(*first, event))
            });
            // Who does not wait any more needs no answer.
            _ = member.waiting.reply.send(Ok(told.collect()));
        }
        let new = self.events.into_iter().zip(written).filter_map(|(new, written)| match written {
            Written::Appended(appended) if appended.is_new => Some(Arc::new(in_log(new, self.source, appended))),
            _ => None,
        });
        new.collect()
    }

    /// Tells every request that nothing was stored, and why.
    pub(super) fn refuse(self, error: &AppendError) {
        for member in self.members {
            _ = member.waiting.reply.send(Err(error.clone()));
        }
    }
}

/// What the database did with an event.
pub(super) enum Written {
    /// It has it.
    Appended(Appended),
    /// It refuses it, whatever is done.
    Refused(String),
}

impl Written {
    /// What is told to who brought the event; only the first of several in a group brought something new.
    fn outcome(&self, first: bool, new: &NewEvent) -> Outcome {
        match self {
            Self::Appended(appended) if appended.is_new && first => Outcome::Stored(appended.position),
            Self::Appended(appended) => Outcome::Duplicate(appended.position),
            Self::Refused(reason) => Outcome::Refused { reason: reason.clone(), raw: new.event.raw.clone() },
        }
    }
}

/// The event as the log has it now.
fn in_log(new: NewEvent, source: IngestSource, appended: Appended) -> SyncEvent {
    let ReceivedEvent { mut occurrence, raw } = new.event;
    occurrence.texts.set(EventColumn::ApplicationName, appended.application_name);
    SyncEvent {
        position: appended.position,
        org: new.org,
        occurrence,
        received_at: appended.received_at,
        first_source: source,
        details: Details::Read(raw.into()),
    }
}
