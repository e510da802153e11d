//! The variables of an operation: their names, and the places where the operation and its fragments use them.

use std::collections::{HashMap, HashSet};

use super::super::document::{DocumentOperation, LiteralValue, VariableDefinition};
use super::context::{PartUses, Rules, ValuePlace, VariableUsage};
use super::definitions::unique;

/// Checks that an operation defines the variables that it uses, uses those that it defines, and uses each where its type
/// fits. Returns the names of the fragments that it uses.
pub(super) fn check<'d>(
    rules: &mut Rules<'d>,
    operation: &'d DocumentOperation<'d>,
    part: &PartUses<'d>,
    fragments: &HashMap<&'d str, PartUses<'d>>,
) -> Vec<&'d str> {
    let variables = &operation.variables;
    unique(rules, variables.iter().map(|variable| variable.name), |name| {
        format!("two variables are called \"${name}\"")
    });
    let known: HashMap<&str, &VariableDefinition<'_>> =
        variables.iter().map(|variable| (variable.name.text, variable)).collect();
    let (mut used, mut spread, mut open) = (HashSet::new(), HashSet::new(), vec![part]);
    let mut order = Vec::new();
    while let Some(part) = open.pop() {
        for usage in &part.usages {
            used.insert(usage.name);
            match known.get(usage.name) {
                None => rules
                    .report([usage.at, operation.at], || format!("the variable \"${}\" is not defined", usage.name)),
                Some(variable) => fit(rules, variable, usage),
            }
        }
        for name in part.spreads.iter().filter(|name| spread.insert(**name)) {
            order.push(*name);
            open.extend(fragments.get(name));
        }
        if rules.is_full() {
            break;
        }
    }
    for variable in variables.iter().filter(|variable| !used.contains(variable.name.text)) {
        rules.report([variable.at], || format!("the variable \"${}\" is not used", variable.name.text));
    }
    order
}

/// Checks that a variable's type fits the place where it is used.
fn fit(rules: &mut Rules<'_>, variable: &VariableDefinition<'_>, usage: &VariableUsage<'_>) {
    let Some(ValuePlace { of, has_default, one_of }) = usage.place else { return };
    // Another fault is reported of a type that does not exist.
    if rules.types.find(variable.of.named()).is_none() {
        return;
    }
    let name = usage.name;
    let has_value = variable.default.as_ref().is_some_and(|default| !matches!(default.value, LiteralValue::Null));
    if !variable.of.fits(of, has_value || has_default) {
        rules.report([variable.at, usage.at], || {
            format!("the variable \"${name}\" of type {} cannot be used where {of} is expected", variable.of)
        });
    }
    if let Some(object) = one_of.filter(|_| !variable.of.is_non_null) {
        rules.report([variable.at, usage.at], || {
            format!("the variable \"${name}\" of type {} may be null, but a field of {object} may not", variable.of)
        });
    }
}
