//! Groups of append requests that share a commit (group commit).

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::append_request::{AppendError, AppendOutcome, AppendRequest, QueuedRequest};
use crate::event::{Details, EventColumn, IngestSource, ReceivedEvent, SyncEvent};
use crate::store::{Appended, CursorMove, DeliveryRecord, NewEvent};

/// Requests of one source that are appended together, with each event once (dedup).
pub(super) struct Group {
    pub(super) source: IngestSource,
    pub(super) events: Vec<NewEvent>,
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// The cursor's move, if the group consists of one request with a cursor.
    pub(super) cursor: Option<CursorMove>,
    seen: HashMap<(String, Uuid), usize>,
    members: Vec<Member>,
}

struct Member {
    queued: QueuedRequest,
    /// For each of the request's events, its index in the group, and true unless an earlier event of the group is the
    /// same.
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

    pub(super) fn add(&mut self, mut queued: QueuedRequest) {
        let AppendRequest { events, deliveries, .. } = &mut queued.request;
        self.deliveries.append(deliveries);
        self.cursor = queued.cursor.take().or(self.cursor.take());
        let places = std::mem::take(events).into_iter().map(|new| self.place(new)).collect();
        self.members.push(Member { queued, places });
    }

    fn place(&mut self, new: NewEvent) -> (usize, bool) {
        let next = self.events.len();
        let place = *self.seen.entry((new.org.clone(), new.event.occurrence.uuid)).or_insert(next);
        match self.events.get_mut(place) {
            Some(first) => first.add_duplicates(new.times_received()),
            None => self.events.push(new),
        }
        (place, place == next)
    }

    /// Replies to every request with the outcomes of its events. Returns the new events in the order of the log.
    pub(super) fn answer(self, written: Vec<AppendResult>) -> Vec<Arc<SyncEvent>> {
        for member in self.members {
            let outcomes = member.places.iter().filter_map(|(place, first)| {
                let event = self.events.get(*place)?;
                written.get(*place).map(|written| written.outcome(*first, event))
            });
            // A caller that has stopped waiting needs no reply.
            _ = member.queued.reply.send(Ok(outcomes.collect()));
        }
        let new = self.events.into_iter().zip(written).filter_map(|(new, written)| match written {
            AppendResult::Appended(appended) if appended.is_new => Some(Arc::new(in_log(new, self.source, appended))),
            _ => None,
        });
        new.collect()
    }

    /// Replies to every request with the error for which nothing was stored.
    pub(super) fn refuse(self, error: &AppendError) {
        for member in self.members {
            _ = member.queued.reply.send(Err(error.clone()));
        }
    }
}

/// The result of appending an event.
pub(super) enum AppendResult {
    /// The database has the event, new or from before.
    Appended(Appended),
    /// The database refuses the event, and would do so again.
    Refused(String),
}

impl AppendResult {
    /// Returns the outcome for a request. If several events of the group are the same, only the first can be new.
    fn outcome(&self, first: bool, new: &NewEvent) -> AppendOutcome {
        match self {
            Self::Appended(appended) if appended.is_new && first => AppendOutcome::Stored(appended.position),
            Self::Appended(appended) => AppendOutcome::Duplicate(appended.position),
            Self::Refused(reason) => AppendOutcome::Refused { reason: reason.clone(), raw: new.event.raw.clone() },
        }
    }
}

/// Returns the event as it is in the log.
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
