//! Events as a feed holds them: rendered, or to be rendered by the first subscriber that asks.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::OnceCell;

use super::renderer::{OnDemandRenderer, RenderedEvent, Renderer};
use crate::event::{Position, SyncEvent};

/// Number of events that a subscriber with a small batch is given at once, in several payloads.
const AT_ONCE: usize = 64;

/// Largest size of the events that a subscriber is given at once, in bytes, unless a single one is larger. After that,
/// other subscribers have their turn.
const BYTES_AT_ONCE: usize = 128 << 10;

/// Approximate size in memory of an event for whose text a payload has no place, in bytes.
const WITHOUT_TEXT: usize = 64;

/// An event of a feed.
#[derive(Clone, Debug)]
pub(in crate::live) enum FeedEntry {
    Rendered(RenderedEvent),
    Unrendered(Arc<UnrenderedEvent>),
}

/// An event that the first subscriber who asks for it renders for all (single-flight).
pub(in crate::live) struct UnrenderedEvent {
    event: Arc<SyncEvent>,
    render: OnDemandRenderer,
    rendered: OnceCell<RenderedEvent>,
}

impl fmt::Debug for UnrenderedEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UnrenderedEvent").field("position", &self.event.position).finish_non_exhaustive()
    }
}

impl UnrenderedEvent {
    /// Renders the event, or waits while another subscriber does. A result with errors is not kept, so that a subscriber
    /// that comes back for the event has it rendered again.
    async fn render(&self) -> RenderedEvent {
        let rendered = self.rendered.get_or_try_init(|| async {
            let rendered = (self.render)(Arc::clone(&self.event)).await;
            if rendered.errors.is_none() { Ok(rendered) } else { Err(rendered) }
        });
        rendered.await.map_or_else(|failed| failed, RenderedEvent::clone)
    }
}

impl FeedEntry {
    /// The entry for an event; an immediate renderer renders it now.
    pub(in crate::live) fn new(renderer: &Renderer, event: &Arc<SyncEvent>) -> Self {
        match renderer {
            Renderer::Immediate(render) => {
                let (position, stored_at) = (event.position, event.received_at);
                Self::Rendered(RenderedEvent { position, stored_at, texts: render(event), errors: None })
            }
            Renderer::OnDemand(render) => {
                let (event, render) = (Arc::clone(event), Arc::clone(render));
                Self::Unrendered(Arc::new(UnrenderedEvent { event, render, rendered: OnceCell::new() }))
            }
        }
    }

    pub(in crate::live) fn position(&self) -> Position {
        match self {
            Self::Rendered(rendered) => rendered.position,
            Self::Unrendered(unrendered) => unrendered.event.position,
        }
    }

    /// The approximate size in memory, in bytes.
    pub(in crate::live) fn size(&self) -> usize {
        match self {
            Self::Rendered(rendered) if rendered.texts.is_empty() => WITHOUT_TEXT,
            Self::Rendered(rendered) => rendered.texts.iter().map(|text| text.len()).sum(),
            Self::Unrendered(unrendered) => unrendered.event.size(),
        }
    }

    /// The largest number of events that a subscriber with this batch is given at once: a whole number of batches.
    pub(in crate::live) const fn at_once(batch: usize) -> usize {
        if batch >= AT_ONCE { batch } else { AT_ONCE - AT_ONCE % batch }
    }

    /// The number of entries that a subscriber with this batch is given first: at least one, since a single event may be
    /// larger than the limit. Batches are full, unless there are not enough events for one.
    pub(in crate::live) fn first_batches<'e>(entries: impl Iterator<Item = &'e Self>, batch: usize) -> usize {
        let mut bytes = 0;
        let fits = |entry: &&Self| {
            bytes += entry.size();
            bytes <= BYTES_AT_ONCE
        };
        let count = entries.take(Self::at_once(batch)).take_while(fits).count().max(1);
        if count > batch { count - count % batch } else { count }
    }

    /// True if a subscriber with this batch can be given a full payload.
    pub(in crate::live) fn fill_payload<'e>(entries: impl ExactSizeIterator<Item = &'e Self>, batch: usize) -> bool {
        entries.len() >= batch || entries.map(Self::size).sum::<usize>() >= BYTES_AT_ONCE
    }

    /// The rendered events, if all entries are rendered; else the entries as they were.
    pub(in crate::live) fn all_rendered(entries: Vec<Self>) -> Result<Vec<RenderedEvent>, Vec<Self>> {
        if entries.iter().any(|entry| matches!(entry, Self::Unrendered(_))) {
            return Err(entries);
        }
        let rendered = entries.into_iter().filter_map(|entry| match entry {
            Self::Rendered(rendered) => Some(rendered),
            Self::Unrendered(_) => None,
        });
        Ok(rendered.collect())
    }

    /// Renders what is not rendered yet, several events at once, so that their reads of the database become one batch.
    pub(in crate::live) async fn render_all(entries: Vec<Self>) -> Vec<RenderedEvent> {
        const CONCURRENT: usize = 32;

        let unrendered = entries.iter().filter_map(|entry| match entry {
            Self::Rendered(_) => None,
            Self::Unrendered(unrendered) => Some(Arc::clone(unrendered)),
        });
        stream::iter(unrendered).for_each_concurrent(CONCURRENT, |one| async move { drop(one.render().await) }).await;
        let mut all = Vec::with_capacity(entries.len());
        for entry in entries {
            all.push(match entry {
                Self::Rendered(rendered) => rendered,
                Self::Unrendered(unrendered) => unrendered.render().await,
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;

    /// Entries with these sizes.
    fn entries(sizes: &[usize]) -> Vec<FeedEntry> {
        let entry = |size: &usize| {
            let texts = std::iter::once("x".repeat(*size).into()).collect();
            FeedEntry::Rendered(RenderedEvent {
                position: Position::START,
                stored_at: Timestamp::now(),
                texts,
                errors: None,
            })
        };
        sizes.iter().map(entry).collect()
    }

    #[test]
    fn what_is_given_at_once_is_bounded_in_bytes_and_never_empty() {
        let first = |sizes: &[usize]| FeedEntry::first_batches(entries(sizes).iter(), 100);
        assert_eq!(first(&[1; 101]), 100);
        assert_eq!(first(&[1; 3]), 3);
        assert_eq!(first(&[BYTES_AT_ONCE / 2; 4]), 2, "they just fit");
        assert_eq!(first(&[BYTES_AT_ONCE / 2, BYTES_AT_ONCE / 2 + 1, 1]), 1);
        assert_eq!(first(&[BYTES_AT_ONCE + 1, 1]), 1, "a single event may be larger");
        assert_eq!(first(&[1, BYTES_AT_ONCE, 1]), 1);
    }

    #[test]
    fn small_batches_are_given_several_at_once_and_full() {
        for (batch, count, expected) in
            [(1, 200, 64), (10, 200, 60), (10, 25, 20), (10, 9, 9), (64, 200, 64), (1000, 999, 999), (1000, 1001, 1000)]
        {
            assert_eq!(FeedEntry::first_batches(entries(&vec![1; count]).iter(), batch), expected, "{batch} {count}");
        }
        let fill = |sizes: &[usize]| FeedEntry::fill_payload(entries(sizes).iter(), 3);
        assert!(!fill(&[]) && !fill(&[1; 2]) && fill(&[1; 3]) && fill(&[BYTES_AT_ONCE]));
    }
}
