//! Tests of the tail reader: which events it pushes, and what it reads of the store where events are missing.

use tokio::sync::{mpsc, watch};

use super::*;
use crate::live::feed::router::tests::{event, router};
use crate::log::View;

/// The start of a later era.
fn later_era() -> Position {
    Position::in_era(1_795_945_000_123_456, 0)
}

/// A reader whose window goes through a position, over a log whose database is not there. Nothing is requested.
fn reader(through: u128) -> TailReader {
    let log = Log::without_database();
    let start = Position::new(through);
    let downstream = Downstream {
        window: Arc::new(Window::new(start, 64 << 20)),
        shared: Arc::new(SharedHistory::new(1 << 20)),
        router: Arc::new(router(start, 1 << 20)),
    };
    let inbox = NatsInbox { updates: mpsc::channel(1).1, role: watch::channel(Role::Disconnected).1 };
    TailReader {
        commits: log.commits(),
        log,
        events: View::without_database().matching(Filter::default()),
        downstream,
        inbox,
        early: EarlyCommits::default(),
        requested: None,
        is_poll_due: false,
        is_gap_read: false,
        hinted: Position::START,
        hinted_before_read: Position::START,
        is_failing: false,
        backoff: Backoff::new(PAUSES.0, PAUSES.1),
    }
}

impl TailReader {
    fn through(&self) -> u128 {
        self.downstream.through().get()
    }

    /// The positions of the events in the window.
    fn pushed(&self, after: u128) -> Vec<u128> {
        let part = self.downstream.window.after(Position::new(after), 1000).unwrap();
        part.events.iter().map(|event| event.position.get()).collect()
    }

    /// Reads that start now, one after the other.
    fn reads(&mut self) -> Vec<ReadRequest> {
        std::iter::from_fn(|| self.next_read()).take(5).collect()
    }
}

fn commit(positions: std::ops::RangeInclusive<u128>) -> Commit {
    positions.map(|position| event(position, "0oa1", None, "a")).collect()
}

/// The result of a read that goes through a position.
fn found(positions: std::ops::RangeInclusive<u128>, through: Position, at_end: bool) -> TailRead {
    let events = commit(positions).iter().map(|event| SyncEvent::clone(event)).collect();
    TailRead::Events(ReadThrough { events, through, at_end })
}

#[tokio::test]
async fn a_commit_is_pushed_as_soon_as_those_before_it_have_been() {
    let mut reader = reader(3);
    for (positions, through) in [(4..=5, 5), (8..=8, 5), (7..=7, 5), (6..=6, 8), (6..=8, 8), (7..=9, 9)] {
        reader.keep(commit(positions.clone()));
        assert_eq!(reader.through(), through, "{positions:?}");
    }
    assert_eq!(reader.pushed(3), [4, 5, 6, 7, 8, 9]);
    assert!(reader.reads().is_empty());
    assert_eq!(reader.early.first(), None);
}

#[tokio::test]
async fn early_commits_that_are_too_large_are_dropped_and_all_is_read() {
    let mut reader = reader(3);
    let mut position = 10;
    while reader.requested.is_none() {
        assert!(position < 1_000_000, "early commits have no limit");
        reader.keep(commit(position..=position + 999));
        position += 1001;
    }
    assert_eq!((reader.early.first(), reader.through()), (None, 3));
    assert_eq!(reader.reads(), [ReadRequest::All]);
}

#[tokio::test]
async fn the_most_urgent_read_comes_first_and_a_poll_waits_for_one_to_the_end() {
    let mut reader = reader(3);
    reader.request(ReadRequest::IfGrown);
    reader.request(ReadRequest::Gap);
    assert_eq!(reader.reads(), [ReadRequest::Gap, ReadRequest::IfGrown]);
    reader.request(ReadRequest::All);
    reader.request(ReadRequest::Gap);
    reader.request(ReadRequest::IfGrown);
    assert_eq!(reader.reads(), [ReadRequest::All], "it goes to the log's end, as the poll would");
    reader.hinted = Position::new(3);
    assert!(reader.reads().is_empty(), "the hint is not ahead of the window");
    reader.hinted = Position::new(4);
    assert_eq!(reader.reads()[..2], [ReadRequest::Gap, ReadRequest::Gap], "until the window is as far");
    reader.requested = Some(ReadRequest::All);
    assert_eq!(reader.next_read(), Some(ReadRequest::All));
}

#[tokio::test]
async fn news_by_nats_are_pushed_or_read() {
    let mut reader = reader(3);
    reader.receive(TailUpdate::Events(commit(4..=5)));
    assert_eq!(reader.pushed(3), [4, 5]);
    for (position, hinted) in [(5, 0), (7, 7), (6, 7)] {
        reader.receive(TailUpdate::Through(Position::new(position)));
        assert_eq!(reader.hinted, Position::new(hinted), "{position}");
    }
    assert_eq!(reader.next_read(), Some(ReadRequest::Gap));
}

#[tokio::test]
async fn a_gap_is_read_up_to_the_early_commit_after_it() {
    let mut reader = reader(3);
    for (early, request, is_gap_read) in [
        (None, ReadRequest::Gap, false),
        (Some(6), ReadRequest::Gap, true),
        (Some(6), ReadRequest::All, false),
        (Some(4 + READ as u128), ReadRequest::Gap, true),
        (Some(5 + READ as u128), ReadRequest::Gap, false),
        (Some(later_era().get() + 1), ReadRequest::Gap, false),
    ] {
        reader.early.clear();
        if let Some(position) = early {
            reader.early.keep(commit(position..=position));
        }
        reader.hinted = Position::new(9);
        drop(reader.read(request));
        assert_eq!(reader.is_gap_read, is_gap_read, "{early:?} {request:?}");
        assert_eq!(reader.hinted_before_read, Position::new(9));
    }
}

#[tokio::test]
async fn what_a_read_finds_is_pushed_once_and_read_on_unless_it_was_all() {
    let mut reader = reader(3);
    reader.finish_read(Ok(found(4..=6, Position::new(6), true)));
    assert_eq!((reader.pushed(3), reader.reads()), (vec![4, 5, 6], vec![]));
    // Commits were pushed while the read was running, and one waits behind it.
    reader.keep(commit(7..=8));
    reader.keep(commit(11..=11));
    reader.finish_read(Ok(found(7..=10, Position::new(10), false)));
    assert_eq!((reader.pushed(3), reader.reads()), (vec![4, 5, 6, 7, 8, 9, 10, 11], vec![ReadRequest::Gap]));
    reader.is_gap_read = true;
    reader.finish_read(Ok(found(12..=13, Position::new(13), false)));
    assert_eq!((reader.through(), reader.reads()), (13, vec![]));
    reader.is_gap_read = false;
    // A read that is late takes nothing back.
    reader.finish_read(Ok(found(8..=9, Position::new(9), true)));
    assert_eq!((reader.through(), reader.pushed(12)), (13, vec![13]));
}

#[tokio::test]
async fn a_read_that_fails_is_made_again_and_the_next_one_tells_that_it_works() {
    let mut reader = reader(3);
    reader.finish_read(Err(StoreError::NoAnswer));
    assert!(reader.is_failing);
    assert_eq!(reader.reads(), [ReadRequest::All]);
    reader.backoff.pause();
    reader.backoff.pause();
    reader.finish_read(Ok(TailRead::AtEnd));
    assert!(!reader.is_failing);
    assert_eq!(reader.backoff.pause(), PAUSES.0, "the pauses begin anew");
}

#[tokio::test]
async fn the_border_of_an_era_empties_the_window_and_nothing_is_pushed_over_it() {
    let start = later_era();
    let first = start.next();
    for read in [found(first.get()..=first.get(), first, true), TailRead::EmptyEra(start)] {
        let mut reader = reader(3);
        reader.keep(commit(4..=5));
        reader.keep(commit(9..=9));
        reader.hinted = Position::new(20);
        let is_empty = matches!(read, TailRead::EmptyEra(_));
        reader.finish_read(Ok(read));
        assert_eq!((reader.downstream.through(), reader.early.first(), reader.hinted), (start, None, Position::START));
        assert_eq!(reader.downstream.window.bytes(), 0);
        assert_eq!(reader.reads(), [if is_empty { ReadRequest::IfGrown } else { ReadRequest::All }]);
    }
}

#[tokio::test]
async fn what_lies_beyond_the_logs_end_is_dropped_unless_it_came_during_the_read() {
    let mut reader = reader(3);
    reader.hinted = Position::new(20);
    reader.hinted_before_read = Position::new(20);
    reader.finish_read(Ok(TailRead::AtEnd));
    assert_eq!((reader.hinted, reader.reads()), (Position::START, vec![]));
    reader.keep(commit(9..=9));
    reader.hinted = Position::new(30);
    reader.finish_read(Ok(TailRead::AtEnd));
    assert_eq!((reader.early.first(), reader.hinted), (None, Position::new(30)));
    assert_eq!((reader.next_read(), reader.is_poll_due), (Some(ReadRequest::Gap), true));
}
