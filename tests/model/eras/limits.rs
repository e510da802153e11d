//! Limits of eras: copies that nothing distinguishes from the database of which they were taken. Each test `limit_…`
//! shows how two events then get the same position; the other one shows what would prevent it.

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

/// A storage snapshot is restored. The gateway that had read less reconnects first and appends from the old head on;
/// the one that had read further could have started an era, but comes second.
#[test]
fn limit_a_gateway_that_had_read_less_comes_first() {
    let bounds = Bounds { servers: 1, restores: 1, forgets: 0, ..BOUNDS };
    let actions = breaks("eras", Eras { bounds, ..appended(&[Silent]) }, UNIQUE);
    assert_eq!(restores(&actions), [Silent]);
}

/// A hot copy is started beside the database, and each of two gateways appends to one of the two.
#[test]
fn limit_a_copy_goes_on_beside_the_database() {
    let bounds = Bounds { servers: 2, restores: 1, forgets: 0, ..BOUNDS };
    breaks("eras", Eras { bounds, ..appended(&[Silent]) }, UNIQUE);
}

/// A storage snapshot is restored while the gateways are stopped: no gateway remembers how far it had read.
#[test]
fn limit_gateways_were_stopped() {
    let actions = breaks("eras", subscribed(&[Silent]), UNIQUE);
    assert!(actions.iter().any(|action| matches!(action, Action::Forget(_))));
    breaks("eras", subscribed(&[Silent]), OWN_HISTORY);
}

/// The cases above could not happen if the time of PostgreSQL's start were a part of a database's identity: files
/// cannot be replaced under a PostgreSQL that runs. Each start of PostgreSQL would then start an era, at no loss to
/// subscribers whose positions still exist.
#[test]
fn an_era_at_each_start_of_postgresql_closes_these() {
    let compared = Compared { start: true, ..USUAL };
    holds("eras, one at each start, two gateways", Eras { compared, ..appended(&[Silent, Clean]) }, 100_000);
    holds("eras, one at each start, a subscriber", Eras { compared, ..subscribed(&[Silent, Clean]) }, 200_000);
}

/// A virtual machine is restored with its memory: PostgreSQL was not restarted, so even its start time is the same.
#[test]
fn limit_a_machine_is_put_back_with_its_memory() {
    let compared = Compared { start: true, ..USUAL };
    breaks("eras", Eras { compared, ..subscribed(&[Machine]) }, UNIQUE);
}

/// The first era of every log has the same tag, so that positions begin with 1. Two unrelated logs therefore both give
/// 1, and so do two copies of a log without events. A gateway that keeps running starts an era in the new log.
#[test]
fn limit_a_log_made_anew_begins_with_the_same_positions() {
    breaks("eras", subscribed(&[Empty]), UNIQUE);
    breaks("eras", subscribed(&[Empty]), OWN_HISTORY);
    let bounds = Bounds { forgets: 0, servers: 1, ..BOUNDS };
    let known = Eras { bounds, ..subscribed(&[Empty]) };
    holds("eras, made anew under a gateway that remembers", known, 1_000);
}
