//! The seats of a feed, visited in turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parked::Seat;

/// Seats in the order in which they were taken.
#[derive(Debug, Default)]
pub(in crate::live) struct Seats {
    taken: BTreeMap<u64, Arc<Seat>>,
    next_number: u64,
    /// Who is visited next, or the next after.
    cursor: u64,
    /// How many are still to be visited.
    due: usize,
    /// Whether somebody has begun to visit them and is not at the end.
    is_begun: bool,
}

impl Seats {
    /// Takes a seat; gives its number.
    pub(in crate::live) fn add(&mut self, seat: Arc<Seat>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.taken.insert(number, seat);
        // It comes before those that are still to be visited once the last one was.
        self.due += usize::from(self.due > 0);
        number
    }

    /// Gives a seat back.
    pub(in crate::live) fn remove(&mut self, number: u64) {
        self.taken.remove(&number);
    }

    /// All are to be visited. Gives whether somebody has to begin.
    pub(in crate::live) fn make_due(&mut self) -> bool {
        let begins = !self.is_begun && !self.taken.is_empty();
        self.is_begun |= begins;
        self.due = self.taken.len();
        begins
    }

    /// The next that are to be visited; gives whether there are more.
    pub(in crate::live) fn next(&mut self, most: usize, into: &mut Vec<Arc<Seat>>) -> bool {
        let count = self.due.min(most);
        let mut last = None;
        let in_turn = self.taken.range(self.cursor..).chain(self.taken.range(..self.cursor));
        for (number, seat) in in_turn.take(count) {
            into.push(Arc::clone(seat));
            last = Some(*number);
        }
        self.cursor = last.map_or(0, |last| last + 1);
        self.due = if self.taken.is_empty() { 0 } else { self.due - count };
        self.is_begun = self.due > 0;
        self.is_begun
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::live::Progress;

    fn seat() -> Arc<Seat> {
        Arc::new(Seat::new(None, Progress::default()))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add,
        Remove(prop::sample::Index),
        MakeDue,
        Next(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Add),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => Just(Step::MakeDue),
            4 => (1_usize..5).prop_map(Step::Next),
        ]
    }

    #[test]
    fn who_has_begun_goes_on_with_others_though_nobody_was_left_meanwhile() {
        let mut seats = Seats::default();
        let first = seats.add(seat());
        assert!(seats.make_due());
        seats.remove(first);
        assert!(!seats.make_due());
        let second = seat();
        seats.add(Arc::clone(&second));
        assert!(!seats.make_due());
        let mut visited = Vec::new();
        assert!(!seats.next(usize::MAX, &mut visited));
        assert!(matches!(&visited[..], [only] if Arc::ptr_eq(only, &second)));
        assert!(seats.make_due());
    }

    proptest! {
        #[test]
        fn whoever_is_there_when_all_are_due_is_visited_after_it(steps in prop::collection::vec(step(), 1..200)) {
            let mut seats = Seats::default();
            let mut there: Vec<(u64, Arc<Seat>, bool)> = Vec::new();
            let mut goes_on = false;
            let finish = [Step::MakeDue, Step::Next(usize::MAX)];
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Add => {
                        let seat = seat();
                        there.push((seats.add(Arc::clone(&seat)), seat, false));
                    }
                    Step::Remove(which) if !there.is_empty() => {
                        let (number, ..) = there.remove(which.index(there.len()));
                        seats.remove(number);
                    }
                    Step::MakeDue => {
                        prop_assert_eq!(seats.make_due(), !goes_on && !there.is_empty());
                        goes_on |= !there.is_empty();
                        for (.., waits) in &mut there {
                            *waits = true;
                        }
                    }
                    Step::Next(most) if goes_on => {
                        let mut visited = Vec::new();
                        goes_on = seats.next(most, &mut visited);
                        for (_, seat, waits) in &mut there {
                            *waits &= !visited.iter().any(|visited| Arc::ptr_eq(visited, seat));
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
