//! Tests of the model of eras: the protocol holds, and each flaw breaks a property.

use super::database::Restore::{self, Clean, DumpBeside, DumpElsewhere, PointInTime, PrivateCopy, Silent};
use super::*;
use crate::checked::{breaks, holds};

/// Restores that change the database's identity.
const TOLD: &[Restore] = &[PointInTime, DumpElsewhere, DumpBeside, Clean, PrivateCopy];

/// Bounds of most runs: enough for two restores of one copy, with an append before them and one after each.
pub(super) const BOUNDS: Bounds = Bounds { servers: 3, appends: 3, copies: 1, restores: 2, forgets: 1, tags: 3 };

/// A model with one gateway and a subscriber.
pub(super) fn subscribed(restores: &'static [Restore]) -> Eras {
    Eras { restores, gateways: 1, has_subscriber: true, bounds: BOUNDS, compared: USUAL, flaw: None }
}

/// A model with two gateways and no subscriber.
pub(super) fn appended(restores: &'static [Restore]) -> Eras {
    Eras { gateways: 2, has_subscriber: false, ..subscribed(restores) }
}

#[test]
fn no_position_is_given_twice_after_restores_of_which_the_identity_tells() {
    holds("eras, two gateways", appended(&[PointInTime, Clean]), 100_000);
}

#[test]
fn a_subscriber_resumes_in_its_own_history_or_is_told_that_it_cannot() {
    holds("eras, a subscriber", subscribed(&[PointInTime, Clean]), 200_000);
}

#[test]
fn the_same_holds_for_each_such_restore_after_each_other() {
    let bounds = Bounds { appends: 2, tags: 2, ..BOUNDS };
    holds("eras, every restore", Eras { bounds, ..subscribed(TOLD) }, 150_000);
}

#[test]
fn one_gateway_that_stays_up_finds_restores_of_which_nothing_tells() {
    let bounds = Bounds { forgets: 0, ..BOUNDS };
    holds(
        "eras, one gateway that remembers",
        Eras { bounds, ..subscribed(&[Silent, Restore::Machine, Clean]) },
        50_000,
    );
}

#[test]
fn a_number_counted_from_the_restored_head_is_given_to_two_eras() {
    breaks("eras", Eras { flaw: Some(Flaw::TagFromHead), ..appended(&[DumpElsewhere]) }, ONE_EVENT);
    breaks("eras", Eras { flaw: Some(Flaw::TagFromHead), ..subscribed(&[DumpElsewhere]) }, OWN_HISTORY);
}

#[test]
fn a_tag_from_the_clock_alone_may_lie_before_others() {
    breaks("eras", Eras { flaw: Some(Flaw::TagFromClockAlone), ..appended(&[PointInTime]) }, GROW);
}

#[test]
fn a_cluster_and_its_time_line_do_not_tell_of_dumps() {
    let compared = Compared { tables: false, ..USUAL };
    for restores in [&[DumpBeside], &[Clean]] {
        let eras = Eras { compared, flaw: Some(Flaw::ReadIsNotAsked), ..subscribed(restores) };
        breaks("eras", eras.clone(), ONE_EVENT);
        breaks("eras", eras, OWN_HISTORY);
    }
}

#[test]
fn a_private_directory_needs_an_identity_of_its_own() {
    let compared = Compared { directory: false, ..USUAL };
    breaks("eras", Eras { compared, ..subscribed(&[PrivateCopy]) }, ONE_EVENT);
}

#[test]
fn tables_must_be_compared_by_each_append() {
    breaks("eras", Eras { flaw: Some(Flaw::TablesAreComparedOnce), ..subscribed(&[Clean]) }, ONE_EVENT);
}

#[test]
fn an_unfinished_restore_must_not_be_read() {
    breaks("eras", Eras { flaw: Some(Flaw::RestoreIsNotAwaited), ..subscribed(&[Clean]) }, OWN_HISTORY);
}

#[test]
fn how_far_a_gateway_has_read_must_be_asked() {
    let bounds = Bounds { forgets: 0, ..BOUNDS };
    let eras = Eras { bounds, ..subscribed(&[Silent, Clean]) };
    for flaw in [Flaw::ReadIsNotAsked, Flaw::OnlyReadOfLastEraIsAsked] {
        breaks("eras", Eras { flaw: Some(flaw), ..eras.clone() }, ONE_EVENT);
        breaks("eras", Eras { flaw: Some(flaw), ..eras.clone() }, OWN_HISTORY);
    }
}

#[test]
fn the_tags_of_a_database_must_be_read_again_when_another_one_is_its_last() {
    breaks("eras", Eras { flaw: Some(Flaw::TagsAreKept), ..appended(&[DumpElsewhere]) }, ONE_EVENT);
}

#[test]
fn who_waits_at_the_end_must_be_checked_at_the_start_of_an_era() {
    breaks("eras", Eras { flaw: Some(Flaw::BorderIsNotChecked), ..subscribed(&[PointInTime]) }, OWN_HISTORY);
}
