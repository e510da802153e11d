//! The subscribers of a feed in the order in which the workers visit them, round-robin.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parked::ParkedSubscriber;

/// The places where a feed's subscribers park, in the order in which they were added.
#[derive(Debug, Default)]
pub(in crate::live) struct ParkedQueue {
    subscribers: BTreeMap<u64, Arc<ParkedSubscriber>>,
    next_number: u64,
    /// The number at which the next visits begin.
    cursor: u64,
    /// Number of subscribers that are still to be visited.
    marked: usize,
    /// True from the first mark until a worker has visited all that are marked: the feed is in the scheduler's queue, or
    /// with a worker that has taken it from there.
    is_queued: bool,
}

impl ParkedQueue {
    /// Adds a subscriber. Returns its number.
    pub(in crate::live) fn add(&mut self, subscriber: Arc<ParkedSubscriber>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.subscribers.insert(number, subscriber);
        // The new subscriber comes before some of the marked ones once the visits have passed the last number.
        self.marked += usize::from(self.marked > 0);
        number
    }

    /// Removes a subscriber.
    pub(in crate::live) fn remove(&mut self, number: u64) {
        self.subscribers.remove(&number);
    }

    /// Marks all subscribers for a visit. Returns true if the caller must queue the feed, since no worker has it.
    pub(in crate::live) fn mark_all(&mut self) -> bool {
        let must_queue = !self.is_queued && !self.subscribers.is_empty();
        self.is_queued |= must_queue;
        self.marked = self.subscribers.len();
        must_queue
    }

    /// Appends the next marked subscribers to a list. Returns true if more are marked.
    pub(in crate::live) fn next(&mut self, limit: usize, into: &mut Vec<Arc<ParkedSubscriber>>) -> bool {
        let count = self.marked.min(limit);
        let mut last = None;
        let in_turn = self.subscribers.range(self.cursor..).chain(self.subscribers.range(..self.cursor));
        for (number, subscriber) in in_turn.take(count) {
            into.push(Arc::clone(subscriber));
            last = Some(*number);
        }
        self.cursor = last.map_or(0, |last| last + 1);
        self.marked = if self.subscribers.is_empty() { 0 } else { self.marked - count };
        self.is_queued = self.marked > 0;
        self.is_queued
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Position;
    use crate::live::reached::Reached;

    fn subscriber() -> Arc<ParkedSubscriber> {
        Arc::new(ParkedSubscriber::new(None, Arc::new(Reached::new(Position::START)), 100))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add,
        Remove(prop::sample::Index),
        MarkAll,
        Next(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Add),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => Just(Step::MarkAll),
            4 => (1_usize..5).prop_map(Step::Next),
        ]
    }

    #[test]
    fn a_worker_goes_on_though_the_queue_was_empty_meanwhile() {
        let mut queue = ParkedQueue::default();
        let first = queue.add(subscriber());
        assert!(queue.mark_all());
        queue.remove(first);
        assert!(!queue.mark_all());
        let second = subscriber();
        queue.add(Arc::clone(&second));
        assert!(!queue.mark_all());
        let mut visited = Vec::new();
        assert!(!queue.next(usize::MAX, &mut visited));
        assert!(matches!(&visited[..], [only] if Arc::ptr_eq(only, &second)));
        assert!(queue.mark_all());
    }

    proptest! {
        #[test]
        fn every_subscriber_that_is_marked_is_visited_afterwards(steps in prop::collection::vec(step(), 1..200)) {
            let mut queue = ParkedQueue::default();
            let mut there: Vec<(u64, Arc<ParkedSubscriber>, bool)> = Vec::new();
            let mut goes_on = false;
            let finish = [Step::MarkAll, Step::Next(usize::MAX)];
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Add => {
                        let subscriber = subscriber();
                        there.push((queue.add(Arc::clone(&subscriber)), subscriber, false));
                    }
                    Step::Remove(which) if !there.is_empty() => {
                        let (number, ..) = there.remove(which.index(there.len()));
                        queue.remove(number);
                    }
                    Step::MarkAll => {
                        prop_assert_eq!(queue.mark_all(), !goes_on && !there.is_empty());
                        goes_on |= !there.is_empty();
                        for (.., waits) in &mut there {
                            *waits = true;
                        }
                    }
                    Step::Next(most) if goes_on => {
                        let mut visited = Vec::new();
                        goes_on = queue.next(most, &mut visited);
                        for (_, subscriber, waits) in &mut there {
                            *waits &= !visited.iter().any(|visited| Arc::ptr_eq(visited, subscriber));
                        }
                        prop_assert!(goes_on || there.iter().all(|(.., waits)| !waits));
                    }
                    Step::Remove(_) | Step::Next(_) => {}
                }
            }
            prop_assert!(!goes_on);
        }
    }
}
