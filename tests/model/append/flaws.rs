//! Tests of the model of appends: the protocol holds, and each flaw breaks a property.

use super::*;
use crate::checked::{breaks, holds};

/// Three writers; each of the events 2 and 3 reaches two of them.
fn three_writers(flaw: Option<Flaw>) -> Append {
    Append { batches: vec![vec![vec![1, 2]], vec![vec![2, 3]], vec![vec![3]]], breaks: 1, time_outs: 1, flaw }
}

/// Two writers that append the same two events one by one, in opposite orders, with more broken connections.
fn two_writers() -> Append {
    Append { batches: vec![vec![vec![1], vec![2]], vec![vec![2], vec![1]]], breaks: 2, time_outs: 1, flaw: None }
}

#[test]
fn positions_have_no_gaps_and_no_event_comes_twice() {
    holds("append, three writers", three_writers(None), 50_000);
    holds("append, two writers", two_writers(), 50_000);
}

#[test]
fn a_writer_that_numbers_before_it_locks_gives_a_position_twice() {
    breaks("append", three_writers(Some(Flaw::NumbersBeforeItLocks)), IN_ORDER);
}

#[test]
fn a_sequence_leaves_gaps_and_readers_miss_events_that_are_committed_late() {
    breaks("append", three_writers(Some(Flaw::NumbersFromSequence)), IN_ORDER);
    breaks("append", three_writers(Some(Flaw::NumbersFromSequence)), READ_ONCE);
}

#[test]
fn a_head_that_moves_in_a_transaction_of_its_own_leaves_gaps() {
    breaks("append", three_writers(Some(Flaw::MovesHeadApart)), IN_ORDER);
}

#[test]
fn without_the_primary_key_an_event_comes_twice() {
    breaks("append", three_writers(Some(Flaw::NoPrimaryKey)), ONCE);
}

#[test]
fn an_acknowledgement_before_the_commit_may_be_of_a_lost_event() {
    breaks("append", three_writers(Some(Flaw::AcknowledgesBeforeCommit)), DURABLE);
}
