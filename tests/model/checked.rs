//! Runs of the model checker: over a protocol that must hold, and over a flawed one that must not.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Path};

/// Limit of the states that a run generates, repeated ones included; it bounds the memory of the run.
const MOST_STATES: usize = 6_000_000;

/// Visits every state of a model: each `always` property must hold in all of them, each `sometimes` property in at
/// least one. Fewer states than `at_least` are an error, too: the model has then lost some of its actions.
pub(crate) fn holds<M>(name: &str, model: M, at_least: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let started = Instant::now();
    let properties: Vec<_> = model.properties().into_iter().map(|one| (one.name, one.expectation)).collect();
    assert!(properties.iter().any(|(_, expectation)| *expectation == Expectation::Always));
    let all = model.checker().finish_when(HasDiscoveries::AnyFailures).target_state_count(MOST_STATES);
    let checker = all.spawn_bfs().join();
    let states = checker.unique_state_count();
    assert!(checker.state_count() < MOST_STATES, "{name}: {states} states, and there are more: the model is too large");
    let mut found = checker.discoveries();
    for (property, expectation) in properties {
        match (expectation, found.remove(property)) {
            (Expectation::Sometimes, None) => panic!("{name}: in none of {states} states: {property}"),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => panic!("{name}: it does not hold that {property}:\n{}", describe(&path)),
        }
    }
    eprintln!("{name}: {states} states, {} steps deep, {:.1?}", checker.max_depth(), started.elapsed());
    assert!(states >= at_least, "{name}: only {states} states were visited, not {at_least}");
}

/// Finds a shortest path on which a flawed model breaks a property, and returns the actions on it. Panics if the
/// property holds in every state.
pub(crate) fn breaks<M>(name: &str, model: M, property: &'static str) -> Vec<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let is_there = model.properties().iter().any(|one| one.name == property && one.expectation == Expectation::Always);
    assert!(is_there, "{name}: the model has no property {property:?}");
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(wanted).target_state_count(MOST_STATES).spawn_bfs().join();
    let states = checker.unique_state_count();
    let Some(path) = checker.discovery(property) else {
        panic!("{name}: in each of {states} states it holds that {property}; it must not");
    };
    eprintln!("{name}: after {states} states it does not hold that {property}:\n{}", describe(&path));
    path.into_actions()
}

fn describe<S: Clone + Debug, A: Clone + Debug>(path: &Path<S, A>) -> String {
    let steps = path.clone().into_vec().into_iter();
    let lines = steps.map(|(state, action)| match action {
        Some(action) => format!("  {action:?}"),
        None => format!("  and so: {state:?}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
