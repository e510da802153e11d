//! Required values: the values of which an event must have one to match a filter. The router lists a feed under them.

use std::collections::BTreeSet;

use crate::event::Filter;

/// The part of an event that has a required value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueKind {
    Instance,
    Application,
    Type,
    Org,
}

/// Values of which an event must have one.
pub(super) type RequiredValues = BTreeSet<(ValueKind, String)>;

/// Returns the values of which an event must have one to match a filter: the shortest list of the narrowest kind in the filter or
/// its `and` parts, or such lists of all alternatives of an `or`. None if the filter requires no values.
pub(super) fn required_values(filter: &Filter) -> Option<RequiredValues> {
    let parts = filter.conjuncts();
    let list = |kind, list: fn(&Filter) -> Option<Vec<String>>| {
        let shortest = parts.iter().copied().filter_map(list).min_by_key(Vec::len)?;
        Some(shortest.into_iter().map(|value| (kind, value)).collect())
    };
    let alternatives = |most: ValueKind| {
        let lists = parts.iter().filter_map(|part| of_alternatives(part.or.as_ref()?, most));
        lists.min_by_key(RequiredValues::len)
    };
    list(ValueKind::Instance, |part| part.application_instances.clone())
        .or_else(|| list(ValueKind::Application, |part| part.applications.clone()))
        .or_else(|| alternatives(ValueKind::Application))
        .or_else(|| list(ValueKind::Type, exact_types))
        .or_else(|| alternatives(ValueKind::Org))
        .or_else(|| list(ValueKind::Org, |part| part.orgs.clone()))
}

/// Returns the required values of all alternatives together; None unless each alternative has some, none of a wider kind than
/// `most`.
fn of_alternatives(alternatives: &[Filter], most: ValueKind) -> Option<RequiredValues> {
    let each = alternatives
        .iter()
        .map(|part| required_values(part).filter(|found| found.iter().all(|(kind, _)| *kind <= most)));
    Some(each.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Returns the event types of a filter; None for a family, whose members are not known.
fn exact_types(filter: &Filter) -> Option<Vec<String>> {
    filter.event_types.as_ref()?.iter().map(|pattern| pattern.exact().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventTypePattern;

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    fn required(filter: &Filter) -> Option<Vec<String>> {
        let values = required_values(filter)?;
        Some(values.into_iter().map(|(kind, value)| format!("{kind:?} {value}")).collect())
    }

    #[test]
    fn alternatives_require_the_values_of_each() {
        let org = Filter { orgs: Some(list(&["acme"])), ..Filter::default() };
        let instances = Filter { application_instances: Some(list(&["a", "b"])), ..org.clone() };
        let application = Filter { applications: Some(list(&["box"])), ..org.clone() };
        let exact = Filter { event_types: EventTypePattern::parse("x.y").map(|one| vec![one]), ..Filter::default() };
        let or = |parts: &[&Filter]| Filter {
            or: Some(parts.iter().map(|&part| part.clone()).collect()),
            ..Filter::default()
        };
        let mixed = or(&[&instances, &application]);
        for (filter, expected) in [
            (org.clone(), Some(list(&["Org acme"]))),
            (mixed.clone(), Some(list(&["Instance a", "Instance b", "Application box"]))),
            (or(&[&mixed, &exact]), Some(list(&["Instance a", "Instance b", "Application box", "Type x.y"]))),
            (or(&[&instances, &org]), Some(list(&["Instance a", "Instance b", "Org acme"]))),
            (or(&[&instances, &Filter::default()]), None),
            (or(&[]), Some(list(&[]))),
            // A list of the filter itself comes before its alternatives, and these come before a common type.
            (Filter { application_instances: Some(list(&["c"])), ..mixed.clone() }, Some(list(&["Instance c"]))),
            (Filter { event_types: exact.event_types.clone(), ..or(&[&instances, &org]) }, Some(list(&["Type x.y"]))),
            (
                Filter { event_types: exact.event_types.clone(), ..mixed.clone() },
                Some(list(&["Instance a", "Instance b", "Application box"])),
            ),
            (
                Filter { and: vec![mixed], ..Filter::default() },
                Some(list(&["Instance a", "Instance b", "Application box"])),
            ),
        ] {
            assert_eq!(required(&filter), expected, "{filter:?}");
        }
    }
}
