//! Events as a feed holds them: rendered, or to be rendered by the first subscriber that asks.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::OnceCell;

use super::renderer::{OnDemandRenderer, RenderedEvent, Renderer};
use crate::event::{Position, SyncEvent};

/// Largest number of events in a batch.
pub(in crate::live) const BATCH: usize = 64;

/// Largest size of a batch of several events, in bytes. After each batch, other subscribers have their turn.
const BATCH_BYTES: usize = 64 << 10;

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
                Self::Rendered(RenderedEvent { position, stored_at, text: render(event), errors: None })
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
            Self::Rendered(rendered) => rendered.text.len(),
            Self::Unrendered(unrendered) => unrendered.event.size(),
        }
    }

    /// The number of entries that make up the first batch: at least one, since a single event may be larger than a batch.
    pub(in crate::live) fn first_batch<'e>(entries: impl Iterator<Item = &'e Self>) -> usize {
        let mut bytes = 0;
        let fits = |entry: &&Self| {
            bytes += entry.size();
            bytes <= BATCH_BYTES
        };
        entries.take(BATCH).take_while(fits).count().max(1)
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
        const AT_ONCE: usize = 32;

        let unrendered = entries.iter().filter_map(|entry| match entry {
            Self::Rendered(_) => None,
            Self::Unrendered(unrendered) => Some(Arc::clone(unrendered)),
        });
        stream::iter(unrendered).for_each_concurrent(AT_ONCE, |one| async move { drop(one.render().await) }).await;
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

    /// Returns how many of entries with these sizes make up the first batch.
    fn first_batch(sizes: &[usize]) -> usize {
        let entry = |size: &usize| {
            let text = "x".repeat(*size).into();
            FeedEntry::Rendered(RenderedEvent {
                position: Position::START,
                stored_at: Timestamp::now(),
                text,
                errors: None,
            })
        };
        FeedEntry::first_batch(sizes.iter().map(entry).collect::<Vec<_>>().iter())
    }

    #[test]
    fn a_batch_is_bounded_in_events_and_in_bytes_and_never_empty() {
        assert_eq!(first_batch(&[1; BATCH + 1]), BATCH);
        assert_eq!(first_batch(&[1; 3]), 3);
        assert_eq!(first_batch(&[BATCH_BYTES / 2; 4]), 2, "they just fit");
        assert_eq!(first_batch(&[BATCH_BYTES / 2, BATCH_BYTES / 2 + 1, 1]), 1);
        assert_eq!(first_batch(&[BATCH_BYTES + 1, 1]), 1, "a single event may be larger");
        assert_eq!(first_batch(&[1, BATCH_BYTES, 1]), 1);
    }
}
