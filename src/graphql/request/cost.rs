//! The cost of a valid document, computed by one look at each of its parts. Fragments that spread fragments grow
//! exponentially when they are expanded, so each fragment is weighed once.

mod arguments;
mod prices;
mod totals;

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, OperationType, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::fragments::{FragmentUse, SelectionItem, items};
use super::limits::DocumentLimits;
use super::refusal::RequestRefusal;
pub(in crate::graphql) use arguments::VariableValues;
pub(in crate::graphql) use prices::Prices;
use prices::{FieldPrice, PAGE, TypePrices};
use totals::Totals;

/// Weighs an operation of a document.
///
/// # Errors
/// The operation exceeds a limit.
pub(in crate::graphql) fn weigh(
    prices: &Prices,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    values: &VariableValues<'_>,
    limits: &DocumentLimits,
) -> Result<Weight, RequestRefusal> {
    let totals = Scales { prices, document, values, fragments: HashMap::new() }.operation(operation);
    totals.check(limits)?;
    Ok(Weight { complexity: totals.price(PAGE), introspects: totals.introspects })
}

/// The weight of an operation that is within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct Weight {
    pub(in crate::graphql) complexity: u64,
    /// True if the operation selects parts of the schema (introspection).
    pub(in crate::graphql) introspects: bool,
}

struct Scales<'d> {
    prices: &'d Prices,
    document: &'d ExecutableDocument,
    values: &'d VariableValues<'d>,
    /// The totals of the fragments that were met.
    fragments: HashMap<&'d str, Totals>,
}

impl<'d> Scales<'d> {
    fn operation(&mut self, operation: &'d OperationDefinition) -> Totals {
        let root = match operation.ty {
            OperationType::Query => self.prices.query(),
            OperationType::Subscription => self.prices.subscription(),
            OperationType::Mutation => None,
        };
        let mut totals = self.set(&operation.selection_set.node, root);
        totals.directives = totals.directives.saturating_add(operation.directives.len());
        totals
    }

    fn set(&mut self, set: &'d SelectionSet, parent: Option<&'d TypePrices>) -> Totals {
        let mut totals = Totals::default();
        for item in items(&self.document.fragments, set) {
            totals.add(&match item {
                SelectionItem::Field(field) => self.field(&field.node, parent),
                SelectionItem::Fragment(fragment) => {
                    self.fragment(&fragment, parent).within_fragment(&self.directives(fragment.directives))
                }
            });
        }
        totals
    }

    fn fragment(&mut self, fragment: &FragmentUse<'d>, parent: Option<&'d TypePrices>) -> Totals {
        let Some(selection) = fragment.selection else { return Totals::default() };
        let of = fragment.condition.map_or(parent, |condition| self.prices.of(condition));
        let Some(name) = fragment.name.map(Name::as_str) else { return self.set(selection, of) };
        if let Some(known) = self.fragments.get(name) {
            return *known;
        }
        let totals = self.set(selection, of);
        self.fragments.insert(name, totals);
        totals
    }

    fn field(&mut self, field: &'d Field, parent: Option<&'d TypePrices>) -> Totals {
        let name = field.name.node.as_str();
        let price = parent.and_then(|parent| parent.field(name));
        let target = price.and_then(|price| self.prices.of(price.target()));
        let children = self.set(&field.selection_set.node, target);
        let mut totals = self.directives(&field.directives);
        totals.aliases = usize::from(field.alias.is_some());
        for (_, value) in &field.arguments {
            totals.values = totals.values.saturating_add(self.values.count(&value.node));
        }
        totals.introspects = matches!(name, "__schema" | "__type");
        let own = price.map_or(1, |price| price.own(field, self.values)).saturating_add(totals.values as u64 / 10);
        let is_item = parent.is_some_and(TypePrices::is_connection) && price.is_some_and(FieldPrice::is_list);
        let count = price.map_or(1, |price| price.items(field, self.values));
        let inner = children.price(count);
        (totals.fixed, totals.per_item) = match price {
            // The page around the list has the number of items.
            Some(_) if is_item => (own, inner),
            Some(price) if price.is_list() && !field.selection_set.node.items.is_empty() => {
                (own.saturating_add(inner.saturating_mul(count)), 0)
            }
            _ => (own.saturating_add(inner), 0),
        };
        totals.enclose(&children);
        totals
    }

    fn directives(&self, directives: &'d [Positioned<Directive>]) -> Totals {
        let values = directives.iter().flat_map(|directive| &directive.node.arguments);
        let values = values.fold(0_usize, |sum, (_, value)| sum.saturating_add(self.values.count(&value.node)));
        Totals { directives: directives.len(), values, ..Totals::default() }
    }
}

#[cfg(test)]
mod tests;
