//! Tests of the model of the hand-over: the protocol holds, and each flaw breaks a property.

use super::*;
use crate::checked::{breaks, holds};

/// A model of the tail reader, without a subscriber.
fn tail() -> HandOver {
    HandOver {
        wanted: &[true; 4],
        has_hints: true,
        early: 1,
        losses: 1,
        has_subscriber: false,
        forgets: 0,
        cuts: 0,
        flaw: None,
    }
}

/// A model with a subscriber that wants the first event and the last one; the tail reader may push at any time.
fn subscribed() -> HandOver {
    HandOver { wanted: &[true, false, true], has_hints: false, losses: 0, has_subscriber: true, forgets: 1, ..tail() }
}

#[test]
fn the_tail_reader_receives_all_hints_and_reads_each_gap_by_its_deadline() {
    holds("tail reader", tail(), 100_000);
}

#[test]
fn a_subscriber_gets_each_event_once() {
    holds("hand-over", subscribed(), 150_000);
}

#[test]
fn a_subscriber_that_is_cut_off_and_comes_back_gets_each_event_once() {
    holds("hand-over, cut", HandOver { wanted: &[true, true], cuts: 2, ..subscribed() }, 50_000);
}

#[test]
fn a_subscriber_and_hints_together() {
    holds("hand-over, hints", HandOver { wanted: &[true, true], has_hints: true, forgets: 0, ..subscribed() }, 50_000);
}

#[test]
fn a_gap_has_one_deadline_and_not_one_for_each_commit() {
    breaks("tail reader", HandOver { early: 3, flaw: Some(Flaw::DeadlineForEachCommit), ..tail() }, PROMPT);
}

#[test]
fn hints_must_be_received_in_a_gap_and_during_a_read_of_the_store() {
    for flaw in [Flaw::DeafInGap, Flaw::DeafWhileReading] {
        breaks("tail reader", HandOver { flaw: Some(flaw), ..tail() }, HINTS_RECEIVED);
    }
}

#[test]
fn a_received_hint_must_not_be_forgotten() {
    for flaw in [Flaw::ForgetsEarly, Flaw::DropsForGood, Flaw::RunningReadCounts] {
        breaks("tail reader", HandOver { flaw: Some(flaw), ..tail() }, REMEMBERED);
    }
}

#[test]
fn without_a_poll_a_lost_hint_leaves_events_behind() {
    breaks("tail reader", HandOver { flaw: Some(Flaw::NothingPolls), ..tail() }, COMPLETE_AT_END);
}

#[test]
fn the_window_must_be_filled_in_order() {
    for flaw in [Flaw::NoGapRule, Flaw::ReadGoesBack] {
        breaks("tail reader", HandOver { flaw: Some(flaw), ..tail() }, ALL_PUSHED);
    }
}

#[test]
fn from_now_on_needs_a_look_at_the_head_that_began_after_the_request() {
    for flaw in [Flaw::FromOwnAppends, Flaw::SharesOlderLookUp] {
        breaks("hand-over", HandOver { flaw: Some(flaw), ..subscribed() }, FROM_NOW);
    }
}

#[test]
fn a_feed_must_be_read_after_the_position_through_which_events_were_routed() {
    for flaw in [Flaw::ThroughAfterFeed, Flaw::RoutedBeforeOffered] {
        breaks("hand-over", HandOver { flaw: Some(flaw), ..subscribed() }, EXACT);
    }
}

#[test]
fn a_feed_must_report_that_it_dropped_events() {
    breaks("hand-over", HandOver { flaw: Some(Flaw::FeedHidesWhatItForgot), ..subscribed() }, EXACT);
}

#[test]
fn a_waiting_member_must_check_its_feed_again_before_it_sleeps() {
    breaks("hand-over", HandOver { flaw: Some(Flaw::SleepsAtOnce), ..subscribed() }, WOKEN);
}
