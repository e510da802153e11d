//! Bringing what feeds have to those who wait for it: a few workers go from seat to seat. To wake a task for each of them
//! would take longer than to send what there is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::parked::{Brought, Outlet, Seat};
use crate::event::Position;
use crate::live::feed::router::Router;
use crate::live::feed::{BATCH, Entry, Feed, Told};
use crate::live::measures::{HandedOut, Measures};

/// How many seats are visited before others have their turn.
const VISIT: usize = 128;

/// Feeds that have something for those who wait.
#[derive(Debug, Default)]
pub(in crate::live) struct DueFeeds {
    feeds: Mutex<VecDeque<Arc<Feed>>>,
    more: Notify,
}

impl DueFeeds {
    fn feeds(&self) -> MutexGuard<'_, VecDeque<Arc<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::live) fn add(&self, feed: Arc<Feed>) {
        self.feeds().push_back(feed);
        self.more.notify_one();
    }

    async fn next(&self) -> Arc<Feed> {
        loop {
            let next = self.feeds().pop_front();
            if let Some(feed) = next {
                return feed;
            }
            self.more.notified().await;
        }
    }
}

/// Starts as many workers as the runtime has threads.
pub(in crate::live) fn start(router: &Arc<Router>, measures: &Arc<Measures>, stop: &CancellationToken) {
    for _ in 0..Handle::current().metrics().num_workers() {
        let (router, measures) = (Arc::clone(router), Arc::clone(measures));
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            let mut seats = Vec::with_capacity(VISIT);
            let mut writing = Writing::default();
            loop {
                let feed = router.due().next().await;
                if feed.next_seats(VISIT, &mut seats) {
                    router.due().add(Arc::clone(&feed));
                }
                let mut round = Round::new(&feed, &router, &measures, &mut writing);
                seats.drain(..).for_each(|seat| round.visit(&seat));
                if round.end() {
                    router.make_due(feed);
                }
                yield_now().await;
            }
        }));
    }
}

/// What was written last: mostly it is the same for the next.
#[derive(Debug, Default)]
struct Writing {
    /// By outlets of which style, if by any.
    style: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

/// A round through some seats of a feed.
struct Round<'r> {
    feed: &'r Feed,
    router: &'r Router,
    measures: &'r Measures,
    writing: &'r mut Writing,
    /// After where those wait who were visited last, and what there is for them; None where they have to see to that.
    found: Option<(Position, Option<Vec<Told>>)>,
    /// To how many of them it was sent.
    sent: usize,
    /// Whether there is more for somebody.
    is_cut: bool,
}

impl<'r> Round<'r> {
    fn new(feed: &'r Feed, router: &'r Router, measures: &'r Measures, writing: &'r mut Writing) -> Self {
        writing.style = None;
        Self { feed, router, measures, writing, found: None, sent: 0, is_cut: false }
    }

    fn visit(&mut self, seat: &Seat) {
        let is_sent = seat.bring(|at, outlet| self.look(at, outlet));
        self.sent += usize::from(is_sent);
    }

    /// What there is after a position, as an outlet writes it.
    fn look(&mut self, at: Position, outlet: &dyn Outlet) -> Option<Brought<'_>> {
        if self.found.as_ref().is_none_or(|(after, _)| *after != at) {
            self.measure();
            self.found = Some((at, self.find(at)));
            self.writing.style = None;
        }
        let (_, Some(told)) = self.found.as_ref()? else { return None };
        let Writing { style, bytes } = &mut *self.writing;
        if style.as_deref() != Some(outlet.style()) {
            *style = Some(outlet.style().to_owned());
            bytes.clear();
            for told in told {
                outlet.write(told, bytes);
            }
        }
        Some(Brought { told, bytes })
    }

    fn find(&mut self, at: Position) -> Option<Vec<Told>> {
        // Read first: the feed has what it wants through there.
        let through = self.router.through();
        let mut entries = self.feed.after(at, BATCH).filter(|_| at <= through)?;
        let whole = entries.len();
        entries.truncate(Entry::fitting(entries.iter()));
        self.is_cut |= entries.len() < whole || whole == BATCH;
        Entry::all_told(entries).ok()
    }

    /// Counts what was sent of what was found.
    fn measure(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        if sent > 0
            && let Some((_, Some(told))) = &self.found
            && let Some(batch) = HandedOut::live(told)
        {
            self.measures.delivered(&batch, sent, self.router.through());
        }
    }

    /// Gives whether there is more for somebody.
    fn end(mut self) -> bool {
        self.measure();
        self.is_cut
    }
}
