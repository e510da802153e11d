//! The prices as directives of IBM's cost specification (<https://ibm.github.io/graphql-specs/cost-spec.html>), so that tools
//! can compute the cost of a document.
//!
//! By that specification an object costs 1 and a scalar nothing, as fields and as arguments, unless `@cost` says otherwise.
//! Here each field costs 1 or more, and arguments cost nothing but for cursors.

use std::collections::HashMap;

use async_graphql::parser::types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition};

use super::{CURSORS, Cardinality, FieldPrice, INTERVAL_BUCKETS, PAGE, Prices, SIZES, STATEMENT, TypePrices, named};
use crate::event::MAX_PAGE_SIZE;

impl Prices {
    /// The directives of the elements of the schema that has these prices, by path, each after a space.
    pub(in crate::graphql) fn directives(&self, sdl: &str) -> HashMap<String, String> {
        let mut all = HashMap::new();
        let definitions = async_graphql::parser::parse_schema(sdl).map(|document| document.definitions);
        for definition in definitions.unwrap_or_default() {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.as_str();
            let fields = match &definition.node.kind {
                TypeKind::Object(object) => &object.fields,
                TypeKind::InputObject(input) => {
                    for field in &input.fields {
                        all.insert(format!("{name}.{}", field.node.name), self.of_input(&field.node));
                    }
                    continue;
                }
                // Fields of interfaces have no price, by the specification: those of the objects count.
                _ => continue,
            };
            for FieldDefinition { name: field, arguments, .. } in fields.iter().map(|field| &field.node) {
                let Some((parent, price)) = self.of(name).and_then(|of| Some((of, of.field(&field.node)?))) else {
                    continue;
                };
                for argument in arguments {
                    let path = format!("{name}.{field}.{}", argument.node.name);
                    all.insert(path, self.of_argument(price, &argument.node));
                }
                all.insert(format!("{name}.{field}"), self.of_field(parent, price));
            }
        }
        all
    }

    fn of_field(&self, parent: &TypePrices, price: &FieldPrice) -> String {
        let target = self.of(price.target());
        let (weight, default) = (price.priced(None), u64::from(target.is_some()));
        let cost = if weight == default { String::new() } else { format!(" @cost(weight: \"{weight}\")") };
        match target {
            // The field of a connection has the size of its lists.
            Some(target) if !(parent.is_connection() && price.is_list()) => cost + &price.list_size(target),
            _ => cost,
        }
    }

    fn of_argument(&self, price: &FieldPrice, argument: &InputValueDefinition) -> String {
        if price.cardinality == Cardinality::Page && CURSORS.contains(&argument.name.node.as_str()) {
            return format!(" @cost(weight: \"{STATEMENT}\")");
        }
        self.of_input(argument)
    }

    /// The directive of an argument, or of a field of an input object: input objects cost nothing here.
    fn of_input(&self, input: &InputValueDefinition) -> String {
        let is_object = self.inputs.contains(named(&input.ty.node).0);
        if is_object { " @cost(weight: \"0\")".to_owned() } else { String::new() }
    }
}

impl FieldPrice {
    /// The directive that says how long the field's list is, or the lists in its page.
    fn list_size(&self, target: &TypePrices) -> String {
        let slicing: Vec<_> = SIZES.into_iter().filter(|name| self.argument(name).is_some()).collect();
        let assumed = match self.cardinality {
            Cardinality::One => return String::new(),
            // A list of values is no slicing argument, nor is a part of an input object.
            Cardinality::List if self.arguments.iter().any(|argument| argument.is_list) => MAX_PAGE_SIZE as u64,
            Cardinality::Histogram => self.argument("step").and_then(|step| step.default).unwrap_or(INTERVAL_BUCKETS),
            Cardinality::List | Cardinality::Page => PAGE,
        };
        let sized = target.fields.iter().filter(|(_, field)| field.is_list()).map(|(name, _)| name.as_str());
        let sized: Vec<_> = if self.cardinality == Cardinality::List { Vec::new() } else { sized.collect() };
        let has_default = SIZES.into_iter().filter_map(|name| self.argument(name)).any(|size| size.default.is_some());
        let mut parts = Vec::new();
        if !has_default {
            parts.push(format!("assumedSize: {assumed}"));
        }
        for (argument, names) in [("slicingArguments", &slicing), ("sizedFields", &sized)] {
            if !names.is_empty() {
                parts.push(format!("{argument}: {names:?}"));
            }
        }
        if !slicing.is_empty() {
            parts.push("requireOneSlicingArgument: false".to_owned());
        }
        format!(" @listSize({})", parts.join(", "))
    }
}
