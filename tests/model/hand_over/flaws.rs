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
fn the_tail_reader_hears_all_and_no_gap_waits_for_long() {
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
fn hints_must_be_heard_in_a_gap_and_while_the_store_is_read() {
    for flaw in [Flaw::DeafInGap, Flaw::DeafWhileReading] {
        breaks("tail reader", HandOver { flaw: Some(flaw), ..tail() }, HEARD);
    }
}

#[test]
fn what_was_heard_must_not_be_forgotten() {
    for flaw in [Flaw::ForgetsEarly, Flaw::RunningReadCounts] {
        breaks("tail reader", HandOver { flaw: Some(flaw), ..tail() }, KEPT);
    }
}

#[test]
fn without_a_poll_a_lost_hint_leaves_events_behind() {
    breaks("tail reader", HandOver { flaw: Some(Flaw::NothingPolls), ..tail() }, NOTHING_LEFT);
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
fn an_empty_feed_means_nothing_unless_it_is_read_last() {
    for flaw in [Flaw::ThroughAfterFeed, Flaw::RoutedBeforeOffered] {
        breaks("hand-over", HandOver { flaw: Some(flaw), ..subscribed() }, EXACT);
    }
}

#[test]
fn a_feed_must_tell_that_it_has_forgotten() {
    breaks("hand-over", HandOver { flaw: Some(Flaw::FeedHidesWhatItForgot), ..subscribed() }, EXACT);
}

#[test]
fn who_sits_down_must_look_again_before_it_sleeps() {
    breaks("hand-over", HandOver { flaw: Some(Flaw::SleepsAtOnce), ..subscribed() }, AWAKE);
}
