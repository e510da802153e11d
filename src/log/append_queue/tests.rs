//! Tests of the queue of appends.

use std::future::poll_fn;
use std::pin::pin;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::super::append_request::AppendRequest;
use super::*;
use crate::event::{IngestSource, Occurrence, ReceivedEvent};
use crate::store::NewEvent;

const WAITING_BYTES: usize = 1 << 20;

fn open() -> (AppendSender, AppendQueue) {
    super::open(WAITING_BYTES)
}

impl AppendSender {
    async fn send_events(&self, events: usize) {
        let event = || {
            let event = ReceivedEvent { occurrence: Occurrence::of_type("a.b"), raw: "{}".into() };
            NewEvent::new("acme".into(), event, None)
        };
        let events: Vec<_> = (0..events).map(|_| event()).collect();
        let permit = self.permit(events.len(), 1).await.unwrap();
        let request = AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() };
        self.send(QueuedRequest { request, cursor: None, reply: oneshot::channel().0, _permit: permit }).await.unwrap();
    }
}

/// Takes an append of at most so many events. Returns the number of events of each of its requests.
async fn append_of(queue: &AppendQueue, most_events: usize) -> Vec<usize> {
    let (first, mut guard) = queue.next().await.unwrap();
    let mut sizes = vec![first.request.events.len()];
    while let Some(waiting) = guard.take(most_events - sizes.iter().sum::<usize>(), |_| true) {
        sizes.push(waiting.request.events.len());
    }
    sizes
}

/// Counts the polls of a future in a period, after which the future must still be pending.
async fn polls_of(work: impl Future, time: Duration) -> usize {
    let (mut polls, mut work) = (0, pin!(work));
    let counted = poll_fn(|context| {
        polls += 1;
        work.as_mut().poll(context).map(drop)
    });
    assert!(timeout(time, counted).await.is_err(), "it is not pending");
    polls
}

#[tokio::test]
async fn a_small_request_waits_for_one_append_of_large_ones_and_a_large_one_for_one_of_small_ones() {
    let (sender, queue) = open();
    for _ in 0..3 {
        sender.send_events(1000).await;
    }
    assert_eq!(append_of(&queue, 1024).await, [1000]);
    for _ in 0..40 {
        sender.send_events(SMALL_REQUEST).await;
    }
    // The small ones come first and leave no space for a large one. Then it is the large one's turn.
    assert_eq!(append_of(&queue, 1024).await, [SMALL_REQUEST; 16]);
    assert_eq!(append_of(&queue, 1024).await, [1000]);
    assert_eq!(append_of(&queue, 1024).await, [SMALL_REQUEST; 16]);
    assert_eq!(append_of(&queue, 1024 + 1000).await, [[1000].as_slice(), &[SMALL_REQUEST; 8]].concat());
}

#[tokio::test]
async fn an_append_takes_small_requests_first_and_large_ones_as_far_as_they_fit() {
    let (sender, queue) = open();
    for events in [500, 500, 1, 500, 2] {
        sender.send_events(events).await;
    }
    assert_eq!(append_of(&queue, 1024).await, [1, 2, 500, 500]);
    sender.send_events(3).await;
    assert_eq!(append_of(&queue, 1024).await, [500, 3]);
}

#[tokio::test]
async fn a_request_that_does_not_suit_comes_first_in_the_next_append() {
    let (sender, queue) = open();
    for events in [1, 2, 3] {
        sender.send_events(events).await;
    }
    let (_, mut guard) = queue.next().await.unwrap();
    assert!(guard.take(1024, |_| false).is_none());
    assert!(guard.take(1, |_| true).is_none());
    drop(guard);
    assert_eq!(append_of(&queue, 1024).await, [2, 3]);
}

#[tokio::test]
async fn large_requests_leave_bytes_to_small_ones() {
    let (sender, _queue) = open();
    let large = sender.permit(SMALL_REQUEST + 1, WAITING_BYTES).now_or_never();
    assert!(large.is_some(), "a request that is larger than all that may wait gets all of its lane");
    assert!(sender.permit(SMALL_REQUEST + 1, 1).now_or_never().is_none());
    assert!(sender.permit(SMALL_REQUEST, 1).now_or_never().is_some());
}

#[tokio::test]
async fn the_second_writer_sleeps_once_many_events_have_been_taken() {
    let (sender, queue) = open();
    for _ in 0..=BATCH_THRESHOLD / SMALL_REQUEST {
        sender.send_events(SMALL_REQUEST).await;
    }
    let (_, mut guard) = queue.next_for_second().now_or_never().expect("many events wait").unwrap();
    while guard.take(usize::MAX, |_| true).is_some() {}
    drop(guard);
    // A notification may still be stored, which causes one more poll.
    assert!(polls_of(queue.next_for_second(), PATIENCE / 2).await < 5);
    for _ in 1..BATCH_THRESHOLD / SMALL_REQUEST {
        sender.send_events(SMALL_REQUEST).await;
    }
    sender.send_events(SMALL_REQUEST - 1).await;
    assert!(queue.next_for_second().now_or_never().is_none(), "these are too few");
    sender.send_events(1).await;
    assert!(queue.next_for_second().now_or_never().is_some());
}

#[tokio::test]
async fn the_second_writer_takes_small_requests_while_the_primary_is_busy_and_large_ones_while_it_is_stuck() {
    let (sender, queue) = open();
    for events in [1000, 1, 2, 1000] {
        sender.send_events(events).await;
    }
    assert!(queue.next_for_second().now_or_never().is_none(), "these are too few");
    queue.wake_second(STUCK_AFTER - 1);
    let (first, mut guard) = queue.next_for_second().now_or_never().expect("a small request waits").unwrap();
    assert_eq!(first.request.events.len(), 1);
    assert_eq!(guard.take(usize::MAX, |_| true).map(|waiting| waiting.request.events.len()), Some(2));
    assert!(guard.take(usize::MAX, |_| true).is_none());
    drop(guard);
    queue.wake_second(STUCK_AFTER - 1);
    assert!(queue.next_for_second().now_or_never().is_none(), "there are only large ones");
    queue.wake_second(STUCK_AFTER);
    let (first, mut guard) = queue.next_for_second().now_or_never().expect("a large request waits").unwrap();
    assert_eq!(first.request.events.len(), 1000);
    assert_eq!(guard.take(usize::MAX, |_| true).map(|waiting| waiting.request.events.len()), Some(1000));
}

#[tokio::test]
async fn the_second_writer_takes_large_requests_once_no_small_ones_have_come_for_a_while() {
    let (sender, queue) = open();
    let waits = async || {
        tokio::select! {
            biased;
            next = queue.next_for_second() => next.map(|(first, _)| first.request.events.len()),
            () = sleep(PATIENCE / 10) => None,
        }
    };
    sender.send_events(1).await;
    assert_eq!(append_of(&queue, 1).await, [1]);
    for _ in 0..2 {
        sender.send_events(1000).await;
    }
    assert_eq!(waits().await, None, "a small request has just come");
    sleep(NO_SMALL_REQUESTS).await;
    sender.send_events(1000).await;
    assert_eq!(waits().await, Some(1000));
    sender.send_events(1).await;
    assert_eq!(waits().await, None);
}

#[tokio::test]
async fn the_second_writer_is_called_after_a_while_and_both_end_with_the_sender() {
    let (sender, queue) = open();
    sender.send_events(1).await;
    let started = Instant::now();
    tokio::select! {
        () = queue.while_busy(std::future::pending::<()>()) => {}
        next = queue.next_for_second() => assert!(next.is_some()),
    }
    assert!(started.elapsed() >= PATIENCE);
    sender.send_events(1000).await;
    tokio::select! {
        () = queue.while_busy(std::future::pending::<()>()) => {}
        next = queue.next_for_second() => assert!(next.is_some()),
    }
    assert!(started.elapsed() >= PATIENCE * STUCK_AFTER);
    // The second writer is not woken by short work.
    let (other, ()) =
        tokio::join!(timeout(PATIENCE * 3, queue.next_for_second()), queue.while_busy(sleep(PATIENCE / 2)),);
    assert!(other.is_err());
    // The second writer sleeps on if the primary finishes in time.
    queue.wake_second(1);
    let (back, polls) =
        tokio::join!(timeout(PATIENCE / 2, queue.next()), polls_of(queue.next_for_second(), PATIENCE / 2));
    assert!(back.is_err());
    assert!(polls < 10, "polled {polls} times");
    drop(sender);
    let (one, other) = tokio::join!(queue.next(), queue.next_for_second());
    assert!(one.is_none() && other.is_none());
}
