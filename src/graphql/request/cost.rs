//! The cost of a document, computed by one look at each of its parts. Fragments that spread fragments grow exponentially
//! when they are expanded, so each fragment is weighed once. async-graphql's own checks expand them, but see only documents
//! that pass here.

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
pub(in crate::graphql) use totals::MAX_NESTING;
use totals::{Totals, too_deep};

/// Largest number of unknown names that are left to validation, which compares each of them with all known ones.
const MAX_UNKNOWN: usize = 10;

/// Weighs an operation of a document.
///
/// # Errors
/// The operation exceeds a limit, or fragments spread each other in a circle.
pub(in crate::graphql) fn weigh(
    prices: &Prices,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    values: &VariableValues<'_>,
    limits: &DocumentLimits,
) -> Result<Weight, RequestRefusal> {
    let mut scales = Scales { prices, document, values, limits, fragments: HashMap::new(), unknown: 0 };
    let totals = scales.operation(operation)?;
    // The other operations are not executed, but validation expands them.
    let mut fields = totals.fields;
    for (_, other) in document.operations.iter().filter(|(_, other)| !std::ptr::eq(&raw const other.node, operation)) {
        fields = fields.saturating_add(scales.operation(&other.node)?.fields);
    }
    totals.check(fields, limits)?;
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
    limits: &'d DocumentLimits,
    /// The totals of the fragments that were met; None while a fragment is being weighed.
    fragments: HashMap<&'d str, Option<Totals>>,
    unknown: usize,
}

impl<'d> Scales<'d> {
    fn operation(&mut self, operation: &'d OperationDefinition) -> Result<Totals, RequestRefusal> {
        let root = match operation.ty {
            OperationType::Query => self.prices.query(),
            OperationType::Subscription => self.prices.subscription(),
            OperationType::Mutation => None,
        };
        let mut totals = self.set(&operation.selection_set.node, root, 0)?;
        totals.directives = totals.directives.saturating_add(operation.directives.len());
        Ok(totals)
    }

    fn set(
        &mut self,
        set: &'d SelectionSet,
        parent: Option<&'d TypePrices>,
        nesting: usize,
    ) -> Result<Totals, RequestRefusal> {
        if nesting > MAX_NESTING {
            return Err(too_deep());
        }
        let mut totals = Totals::default();
        for item in items(&self.document.fragments, set) {
            totals.add(&match item {
                SelectionItem::Field(field) => self.field(&field.node, parent, nesting)?,
                SelectionItem::Fragment(fragment) => {
                    let inner = self.fragment(&fragment, parent, nesting + 1)?;
                    inner.within_fragment(self.directives(fragment.directives))
                }
            });
            // A document that is refused in the end need not be looked at to its end.
            if totals.fields > self.limits.fields || nesting + totals.nesting > MAX_NESTING {
                break;
            }
        }
        Ok(totals)
    }

    fn fragment(
        &mut self,
        fragment: &FragmentUse<'d>,
        parent: Option<&'d TypePrices>,
        nesting: usize,
    ) -> Result<Totals, RequestRefusal> {
        let Some(selection) = fragment.selection else { return Ok(Totals::default()) };
        let of = fragment.condition.map_or(parent, |condition| self.prices.of(condition));
        let Some(name) = fragment.name.map(Name::as_str) else { return self.set(selection, of, nesting) };
        match self.fragments.get(name) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => {
                let message = format!("the fragment {name:?} spreads itself");
                return Err(RequestRefusal::new("GRAPHQL_VALIDATION_FAILED", message));
            }
            None => {}
        }
        self.fragments.insert(name, None);
        let totals = self.set(selection, of, nesting)?;
        self.fragments.insert(name, Some(totals));
        Ok(totals)
    }

    fn field(
        &mut self,
        field: &'d Field,
        parent: Option<&'d TypePrices>,
        nesting: usize,
    ) -> Result<Totals, RequestRefusal> {
        let name = field.name.node.as_str();
        let price = parent.and_then(|parent| parent.field(name));
        if parent.is_some() && price.is_none() && name != "__typename" {
            self.miss(name)?;
        }
        for (argument, _) in &field.arguments {
            if price.is_some_and(|price| !price.takes(argument.node.as_str())) {
                self.miss(argument.node.as_str())?;
            }
        }
        let target = price.and_then(|price| self.prices.of(price.target()));
        let children = self.set(&field.selection_set.node, target, nesting + 1)?;
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
        Ok(totals)
    }

    fn directives(&self, directives: &'d [Positioned<Directive>]) -> Totals {
        let values = directives.iter().flat_map(|directive| &directive.node.arguments);
        let values = values.fold(0_usize, |sum, (_, value)| sum.saturating_add(self.values.count(&value.node)));
        Totals { directives: directives.len(), values, ..Totals::default() }
    }

    fn miss(&mut self, name: &str) -> Result<(), RequestRefusal> {
        self.unknown += 1;
        if self.unknown <= MAX_UNKNOWN {
            return Ok(());
        }
        let message = format!("more than {MAX_UNKNOWN} fields and arguments are not in the schema, such as {name:?}");
        Err(RequestRefusal::new("GRAPHQL_VALIDATION_FAILED", message))
    }
}

#[cfg(test)]
mod tests;
