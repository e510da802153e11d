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
fn no_position_is_given_twice_after_restores_that_the_identity_shows() {
    holds("eras, two gateways", appended(&[PointInTime, Clean]), 100_000);
}

#[test]
fn a_subscriber_resumes_in_its_own_history_or_is_told_that_it_cannot() {
    holds("eras, a subscriber", subscribed(&[PointInTime, Clean]), 200_000);
}

#[test]
fn restores_that_the_identity_shows_may_follow_each_other() {
    let bounds = Bounds { appends: 2, tags: 2, ..BOUNDS };
    holds("eras, every restore", Eras { bounds, ..subscribed(TOLD) }, 150_000);
}

#[test]
fn a_gateway_that_stays_up_finds_restores_that_the_identity_does_not_show() {
    let bounds = Bounds { forgets: 0, ..BOUNDS };
    holds(
        "eras, one gateway that remembers",
        Eras { bounds, ..subscribed(&[Silent, Restore::Machine, Clean]) },
        50_000,
    );
}

#[test]
fn a_number_counted_from_the_restored_head_is_given_to_two_eras() {
    breaks("eras", Eras { flaw: Some(Flaw::TagFromHead), ..appended(&[DumpElsewhere]) }, UNIQUE);
    breaks("eras", Eras { flaw: Some(Flaw::TagFromHead), ..subscribed(&[DumpElsewhere]) }, OWN_HISTORY);
}

#[test]
fn a_tag_from_the_clock_alone_may_lie_before_others() {
    breaks("eras", Eras { flaw: Some(Flaw::TagFromClockAlone), ..appended(&[PointInTime]) }, GROW);
}

#[test]
fn a_cluster_and_its_time_line_do_not_show_a_restored_dump() {
    let compared = Compared { tables: false, ..USUAL };
    for restores in [&[DumpBeside], &[Clean]] {
        let eras = Eras { compared, flaw: Some(Flaw::ReadIsNotAsked), ..subscribed(restores) };
        breaks("eras", eras.clone(), UNIQUE);
        breaks("eras", eras, OWN_HISTORY);
    }
}

#[test]
fn a_private_directory_needs_an_identity_of_its_own() {
    let compared = Compared { directory: false, ..USUAL };
    breaks("eras", Eras { compared, ..subscribed(&[PrivateCopy]) }, UNIQUE);
}

#[test]
fn tables_must_be_compared_by_each_append() {
    breaks("eras", Eras { flaw: Some(Flaw::TablesAreComparedOnce), ..subscribed(&[Clean]) }, UNIQUE);
}

#[test]
fn an_unfinished_restore_must_not_be_read() {
    breaks("eras", Eras { flaw: Some(Flaw::RestoreIsNotAwaited), ..subscribed(&[Clean]) }, OWN_HISTORY);
}

#[test]
fn the_furthest_position_that_a_gateway_has_read_must_be_compared() {
    let bounds = Bounds { forgets: 0, ..BOUNDS };
    let eras = Eras { bounds, ..subscribed(&[Silent, Clean]) };
    for flaw in [Flaw::ReadIsNotAsked, Flaw::OnlyReadOfLastEraIsAsked] {
        breaks("eras", Eras { flaw: Some(flaw), ..eras.clone() }, UNIQUE);
        breaks("eras", Eras { flaw: Some(flaw), ..eras.clone() }, OWN_HISTORY);
    }
}

#[test]
fn the_tags_must_be_read_again_when_the_last_era_is_another_one() {
    breaks("eras", Eras { flaw: Some(Flaw::TagsAreKept), ..appended(&[DumpElsewhere]) }, UNIQUE);
}

#[test]
fn a_subscriber_at_the_end_must_be_checked_at_the_start_of_an_era() {
    breaks("eras", Eras { flaw: Some(Flaw::BorderIsNotChecked), ..subscribed(&[PointInTime]) }, OWN_HISTORY);
}
