//! What eras cannot keep apart: copies that nothing tells from the database of which they were taken. Each test shows how
//! a position is given twice then; the last ones show what would close that.

use super::database::Restore::{self, Clean, Empty, Machine, Silent};
use super::flaws::{BOUNDS, appended, subscribed};
use super::*;
use crate::checked::{breaks, holds};

fn restores(actions: &[Action]) -> Vec<Restore> {
    let restores = actions.iter().filter_map(|action| match action {
        Action::Restore { how, .. } => Some(*how),
        _ => None,
    });
    restores.collect()
}

/// A storage snapshot is put back. The gateway that had read most comes back second: before that, the other one, which
/// had read less, has appended from the old head on.
#[test]
fn limit_a_gateway_that_had_read_less_comes_first() {
    let bounds = Bounds { servers: 1, restores: 1, forgets: 0, ..BOUNDS };
    let actions = breaks("eras", Eras { bounds, ..appended(&[Silent]) }, ONE_EVENT);
    assert_eq!(restores(&actions), [Silent]);
}

/// A hot copy is started elsewhere, and each of two gateways goes on with one of the two.
#[test]
fn limit_a_copy_goes_on_beside_the_database() {
    let bounds = Bounds { servers: 2, restores: 1, forgets: 0, ..BOUNDS };
    breaks("eras", Eras { bounds, ..appended(&[Silent]) }, ONE_EVENT);
}

/// A storage snapshot is put back while the gateways are stopped: nobody knows how far anybody had read.
#[test]
fn limit_gateways_were_stopped() {
    let actions = breaks("eras", subscribed(&[Silent]), ONE_EVENT);
    assert!(actions.iter().any(|action| matches!(action, Action::Forget(_))));
    breaks("eras", subscribed(&[Silent]), OWN_HISTORY);
}

/// Were it part of a database's identity when PostgreSQL was started, each start of PostgreSQL would start an era, which
/// takes nothing from anybody whose position still stands. Then none of this happens: files cannot be put back under a
/// PostgreSQL that runs.
#[test]
fn an_era_at_each_start_of_postgresql_closes_these() {
    let compared = Compared { start: true, ..USUAL };
    holds("eras, one at each start, two gateways", Eras { compared, ..appended(&[Silent, Clean]) }, 100_000);
    holds("eras, one at each start, a subscriber", Eras { compared, ..subscribed(&[Silent, Clean]) }, 200_000);
}

/// A virtual machine is put back together with its memory: PostgreSQL was not even started, and nothing tells.
#[test]
fn limit_a_machine_is_put_back_with_its_memory() {
    let compared = Compared { start: true, ..USUAL };
    breaks("eras", Eras { compared, ..subscribed(&[Machine]) }, ONE_EVENT);
}

/// The first era of every log has the same tag, so that positions begin with 1. Two logs that nothing connects both give
/// 1, and so do two copies of a log that had no event yet. A gateway that stays up begins an era in the new one.
#[test]
fn limit_a_log_made_anew_begins_with_the_same_positions() {
    breaks("eras", subscribed(&[Empty]), ONE_EVENT);
    breaks("eras", subscribed(&[Empty]), OWN_HISTORY);
    let bounds = Bounds { forgets: 0, servers: 1, ..BOUNDS };
    let known = Eras { bounds, ..subscribed(&[Empty]) };
    holds("eras, made anew under a gateway that remembers", known, 1_000);
}
