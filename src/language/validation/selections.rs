//! Selections: fields, fragments and directives, by the types around them.

use super::super::document::{Directive, DocumentOperation, Field, Fragment, Item, Name, SelectionSet};
use super::super::fault::Location;
use super::super::types::{InputField, RootKind, SchemaField, SchemaType};
use super::context::{PartUses, Rules, ValuePlace};
use super::literals::{LiteralWalk, ValuePath};
use super::suggestions::did_you_mean;

/// A walk over the selections of one operation or fragment.
pub(super) struct SelectionWalk<'w, 'd> {
    rules: &'w mut Rules<'d>,
    part: PartUses<'d>,
}

impl<'w, 'd> SelectionWalk<'w, 'd> {
    /// Checks a fragment, and returns what it uses.
    pub(super) fn of_fragment(rules: &'w mut Rules<'d>, fragment: &'d Fragment<'d>) -> PartUses<'d> {
        let mut walk = Self { rules, part: PartUses::default() };
        walk.directives(&fragment.directives, "FRAGMENT_DEFINITION");
        let on = walk.condition(fragment.condition);
        walk.selection(&fragment.selection, on);
        walk.part
    }

    /// Checks an operation, and returns what it uses.
    pub(super) fn of_operation(rules: &'w mut Rules<'d>, operation: &'d DocumentOperation<'d>) -> PartUses<'d> {
        let types = rules.types;
        let mut walk = Self { rules, part: PartUses::default() };
        let place = match operation.kind {
            RootKind::Query => "QUERY",
            RootKind::Mutation => "MUTATION",
            RootKind::Subscription => "SUBSCRIPTION",
        };
        walk.directives(&operation.directives, place);
        walk.variables(operation);
        walk.selection(&operation.selection, types.root(operation.kind));
        walk.part
    }

    /// Checks the types, the defaults and the directives of variables.
    fn variables(&mut self, operation: &'d DocumentOperation<'d>) {
        for variable in &operation.variables {
            let (name, of) = (variable.name.text, &variable.of);
            let found = self.known_type(Name { text: of.named(), at: variable.type_at });
            if found.is_some_and(|found| !found.is_input()) {
                self.rules.report([variable.type_at], || format!("the variable \"${name}\" cannot be of type {of}"));
            } else if let Some(default) = &variable.default {
                let place = ValuePlace { of, has_default: false, one_of: None };
                let mut literals = LiteralWalk { rules: self.rules, part: &mut self.part };
                literals.literal(default, Some(place), &ValuePath::Default(name));
            }
            self.directives(&variable.directives, "VARIABLE_DEFINITION");
        }
    }

    fn selection(&mut self, selection: &'d SelectionSet<'d>, parent: Option<&'d SchemaType>) {
        for item in &selection.items {
            match item {
                Item::Field(field) => self.field(field, parent),
                Item::Inline(inline) => {
                    self.directives(&inline.directives, "INLINE_FRAGMENT");
                    let on = match inline.condition {
                        None => parent,
                        Some(condition) => {
                            let on = self.condition(condition);
                            self.possible(condition, on, parent, inline.at);
                            on
                        }
                    };
                    self.selection(&inline.selection, on);
                }
                Item::Spread(spread) => {
                    self.directives(&spread.directives, "FRAGMENT_SPREAD");
                    let Some(fragment) = self.rules.fragments.get(spread.name.text).copied() else {
                        let Name { text, at } = spread.name;
                        self.rules.report([at], || format!("there is no fragment {text:?}"));
                        continue;
                    };
                    self.part.spreads.push(spread.name.text);
                    let on = self.rules.types.find(fragment.condition.text).filter(|on| on.is_composite());
                    self.possible(fragment.condition, on, parent, spread.at);
                }
            }
        }
    }

    fn field(&mut self, field: &'d Field<'d>, parent: Option<&'d SchemaType>) {
        let Name { text: name, at } = field.name;
        let of = match parent {
            None => None,
            Some(_) if name == "__typename" => Some(None),
            Some(parent) => {
                let known = parent.fields().and_then(|fields| fields.get(name));
                if known.is_none() {
                    let types = self.rules.types;
                    self.rules.report([at], || {
                        let names = parent.fields().into_iter().flat_map(|fields| fields.keys());
                        let names = names.map(String::as_str).filter(|name| !name.starts_with("__"));
                        format!("there is no field {name:?} on {}{}", parent.name, did_you_mean(types, name, names))
                    });
                }
                known.map(Some)
            }
        };
        let known = of.map(|of| of.map_or(&[][..], |field: &SchemaField| &field.arguments));
        let owner = || format!("the field {name:?}");
        LiteralWalk { rules: self.rules, part: &mut self.part }.arguments(&field.arguments, known, owner, at);
        self.directives(&field.directives, "FIELD");
        let has_selection = !field.selection.items.is_empty();
        let target = of.map(|of| of.and_then(|of| self.rules.types.find(of.of.named())));
        let target = target.map(|target| target.filter(|target| target.is_composite()));
        match target {
            Some(None) if has_selection => {
                let shown = of.flatten().map_or_else(|| "String!".to_owned(), |of| of.of.to_string());
                let message = || format!("the field {name:?} of type {shown} has no fields to select");
                self.rules.report([field.selection.at], message);
            }
            Some(Some(_)) if !has_selection => {
                let shown = of.flatten().map(|of| of.of.to_string()).unwrap_or_default();
                let message = || format!("the field {name:?} of type {shown} needs a selection of its fields");
                self.rules.report([at], message);
            }
            _ => {}
        }
        self.selection(&field.selection, target.flatten());
    }

    /// Finds a type, or reports that there is none.
    fn known_type(&mut self, name: Name<'d>) -> Option<&'d SchemaType> {
        let types = self.rules.types;
        let found = types.find(name.text);
        if found.is_none() {
            self.rules.report([name.at], || {
                let known = types.types.keys().map(String::as_str).filter(|known| !known.starts_with("__"));
                format!("there is no type {:?}{}", name.text, did_you_mean(types, name.text, known))
            });
        }
        found
    }

    /// Finds the type of a fragment's condition, or reports that no fragment can be on it.
    fn condition(&mut self, condition: Name<'d>) -> Option<&'d SchemaType> {
        let found = self.known_type(condition)?;
        if !found.is_composite() {
            self.rules.report([condition.at], || format!("a fragment cannot be on {:?}: it has no fields", found.name));
            return None;
        }
        Some(found)
    }

    /// Checks that a fragment can apply at its place.
    fn possible(
        &mut self,
        condition: Name<'d>,
        on: Option<&'d SchemaType>,
        parent: Option<&'d SchemaType>,
        at: Location,
    ) {
        let (Some(on), Some(parent)) = (on, parent) else { return };
        if !self.rules.types.overlap(on, parent) {
            let message = || format!("a fragment on {:?} never applies to {}", condition.text, parent.name);
            self.rules.report([at], message);
        }
    }

    fn directives(&mut self, directives: &'d [Directive<'d>], place: &str) {
        let mut seen: Vec<Name<'_>> = Vec::new();
        for directive in directives {
            let Name { text: name, .. } = directive.name;
            let at = directive.at;
            let known = self.rules.types.directives.get(name);
            match known {
                None => self.rules.report([at], || format!("there is no directive \"@{name}\"")),
                Some(known) if !known.locations.contains(place) => {
                    let place = place.to_ascii_lowercase().replace('_', " ");
                    self.rules.report([at], || format!("the directive \"@{name}\" cannot stand at a {place}"));
                }
                Some(known) if !known.is_repeatable => {
                    if let Some(first) = seen.iter().find(|first| first.text == name) {
                        self.rules.report([first.at, at], || format!("the directive \"@{name}\" is there twice"));
                    }
                    seen.push(Name { text: name, at });
                }
                Some(_) => {}
            }
            let known: Option<&'d [InputField]> = known.map(|known| &known.arguments[..]);
            let owner = || format!("the directive \"@{name}\"");
            LiteralWalk { rules: self.rules, part: &mut self.part }.arguments(&directive.arguments, known, owner, at);
        }
    }
}
