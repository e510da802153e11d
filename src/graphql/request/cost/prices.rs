//! The price of each field, read from the schema.
//!
//! * A field costs 1 and the price of its selection. A list costs the price of its selection for each item.
//! * A page has as many items as `first` or `last` says, or else 50, and a subscription's payload as many as `batch`. A list
//!   with a list as an argument has as many items as that argument, and any other has 50. A histogram has as many items as
//!   buckets, for each of its series.
//! * A field with arguments reads the database, which costs 50. Each cursor of a page costs 50, too. `upTo` costs a
//!   hundredth of its value, and a field that counts events by a dimension costs 1,000.
//! * Introspection's lists have as many items as they have on average in this schema.
//!
//! `directives` prints the prices into the schema.

mod directives;

use std::collections::{BTreeMap, HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Field, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Positioned, Value};

use super::arguments::VariableValues;
use crate::event::{MAX_BUCKETS, MAX_HISTOGRAM_KEYS, MAX_PAGE_SIZE};

/// Number of items of a list whose size is not known.
pub(super) const PAGE: u64 = 50;

/// Price of reading the database.
const STATEMENT: u64 = 50;

/// The arguments that are cursors.
const CURSORS: [&str; 2] = ["after", "before"];

/// The arguments that are sizes of pages, or of a subscription's payloads.
const SIZES: [&str; 3] = ["first", "last", "batch"];

/// The type whose lists have an item for each bucket.
const HISTOGRAM: &str = "Histogram";

/// The type of arguments by which events are counted.
const DIMENSION: &str = "SyncEventDimension";

/// Price of counting all that matches.
const SCAN: u64 = 1_000;

/// Number of a histogram's buckets for an interval of the calendar, whose number is not known: a quarter of the limit.
const INTERVAL_BUCKETS: u64 = MAX_BUCKETS as u64 / 4;

/// The prices of all fields.
pub(in crate::graphql) struct Prices {
    types: HashMap<String, TypePrices>,
    /// The names of the types of input objects.
    inputs: HashSet<String>,
}

/// The prices of a type's fields.
#[derive(Debug, Default)]
pub(super) struct TypePrices {
    fields: BTreeMap<String, FieldPrice>,
    /// True if each list of the type has the number of items of the field that has the type.
    is_connection: bool,
}

/// The price of a field.
#[derive(Debug)]
pub(super) struct FieldPrice {
    target: String,
    cardinality: Cardinality,
    arguments: Vec<Argument>,
    /// Average number of items of a list in introspection.
    average: Option<u64>,
    is_introspection: bool,
    is_scan: bool,
}

/// The number of things in a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cardinality {
    One,
    List,
    Page,
    Histogram,
}

#[derive(Debug)]
struct Argument {
    name: String,
    is_list: bool,
    /// The default value, if it is a number.
    default: Option<u64>,
}

impl Prices {
    /// The prices of a schema, which is given in GraphQL's schema language.
    pub(in crate::graphql) fn new(sdl: &str) -> Self {
        let mut types: HashMap<String, TypePrices> = HashMap::new();
        let mut inputs = HashSet::new();
        let mut sizes = Sizes::default();
        let definitions = async_graphql::parser::parse_schema(sdl).map(|document| document.definitions);
        for definition in definitions.unwrap_or_default() {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.as_str();
            sizes.types += 1;
            let fields = match &definition.node.kind {
                TypeKind::Object(object) => &object.fields,
                TypeKind::Interface(interface) => &interface.fields,
                TypeKind::Enum(found) => {
                    sizes.enum_values += found.values.len() as u64;
                    continue;
                }
                TypeKind::InputObject(found) => {
                    sizes.input_fields += found.fields.len() as u64;
                    inputs.insert(name.to_owned());
                    continue;
                }
                TypeKind::Scalar | TypeKind::Union(_) => continue,
            };
            sizes.fields += fields.len() as u64;
            sizes.arguments += fields.iter().map(|field| field.node.arguments.len() as u64).sum::<u64>();
            let priced = fields.iter().map(|field| (field.node.name.node.to_string(), FieldPrice::new(&field.node)));
            let found =
                TypePrices { fields: priced.collect(), is_connection: is_connection(name) || name == HISTOGRAM };
            types.insert(name.to_owned(), found);
        }
        for (parent, name, target, average) in sizes.introspection() {
            let price = FieldPrice {
                target: target.to_owned(),
                cardinality: if average.is_some() { Cardinality::List } else { Cardinality::One },
                arguments: introspection_arguments(name),
                average,
                is_introspection: true,
                is_scan: false,
            };
            types.entry(parent.to_owned()).or_default().fields.insert(name.to_owned(), price);
        }
        Self { types, inputs }
    }

    pub(super) fn query(&self) -> Option<&TypePrices> {
        self.of("Query")
    }

    pub(super) fn subscription(&self) -> Option<&TypePrices> {
        self.of("Subscription")
    }

    /// The prices of a type that has fields.
    pub(super) fn of(&self, name: &str) -> Option<&TypePrices> {
        self.types.get(name)
    }
}

impl TypePrices {
    pub(super) fn field(&self, name: &str) -> Option<&FieldPrice> {
        self.fields.get(name)
    }

    pub(super) const fn is_connection(&self) -> bool {
        self.is_connection
    }
}

impl FieldPrice {
    fn new(field: &FieldDefinition) -> Self {
        let (target, is_list) = named(&field.ty.node);
        let cardinality = match is_list {
            true => Cardinality::List,
            false if is_connection(target) => Cardinality::Page,
            false if target == HISTOGRAM => Cardinality::Histogram,
            false => Cardinality::One,
        };
        Self {
            is_scan: field.arguments.iter().any(|argument| named(&argument.node.ty.node).0 == DIMENSION),
            target: target.to_owned(),
            cardinality,
            arguments: field.arguments.iter().map(Argument::new).collect(),
            average: None,
            is_introspection: false,
        }
    }

    /// The name of the type of the field's value.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn is_list(&self) -> bool {
        self.cardinality == Cardinality::List
    }

    /// The price of the field without its selection.
    pub(super) fn own(&self, field: &Field, values: &VariableValues<'_>) -> u64 {
        let cursors = CURSORS.into_iter().filter(|name| field.get_argument(name).is_some());
        let looks = if self.cardinality == Cardinality::Page { cursors.count() as u64 } else { 0 };
        self.priced(values.number(field, "upTo")) + STATEMENT * looks
    }

    /// The price of the field without its selection and without cursors, if it counts up to a number.
    fn priced(&self, up_to: Option<u64>) -> u64 {
        if self.is_introspection || self.arguments.is_empty() {
            return 1;
        }
        let scan = if self.is_scan { SCAN } else { 0 };
        let counted = self.argument("upTo").and_then(|argument| up_to.or(argument.default));
        1 + STATEMENT + scan + counted.unwrap_or(0) / 100
    }

    /// The number of items in the field's list or page.
    pub(super) fn items(&self, field: &Field, values: &VariableValues<'_>) -> u64 {
        if let Some(average) = self.average {
            return average;
        }
        match self.cardinality {
            Cardinality::One => return 1,
            Cardinality::Histogram => return self.histogram_items(field, values),
            Cardinality::List | Cardinality::Page => {}
        }
        let most = MAX_PAGE_SIZE as u64;
        let sizes = SIZES.into_iter().filter_map(|name| {
            let argument = self.argument(name)?;
            values.number(field, name).or(argument.default)
        });
        let lengths = self.arguments.iter().filter(|argument| argument.is_list);
        let lengths = lengths.filter_map(|argument| values.length(field, &argument.name));
        match sizes.chain(lengths).max() {
            Some(size) => size.min(most),
            None => PAGE,
        }
    }

    /// The number of buckets, for each of the series that there may be.
    fn histogram_items(&self, field: &Field, values: &VariableValues<'_>) -> u64 {
        let value = |name: &str| match field.get_argument(name) {
            Some(_) => values.number(field, name),
            None => self.argument(name).and_then(|argument| argument.default),
        };
        let keys = value("keys").unwrap_or_default().min(MAX_HISTOGRAM_KEYS as u64);
        // All other keys have a series together.
        let series = if field.get_argument("by").is_some() { keys + 1 } else { 1 };
        match value("step") {
            Some(buckets) => buckets.min(MAX_BUCKETS as u64) * series,
            // An interval of the calendar, for as many series as there are by default.
            None => INTERVAL_BUCKETS * series.div_ceil(6),
        }
    }

    fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }
}

impl Argument {
    fn new(definition: &Positioned<InputValueDefinition>) -> Self {
        let default = definition.node.default_value.as_ref().map(|default| &default.node);
        Self {
            name: definition.node.name.node.to_string(),
            is_list: named(&definition.node.ty.node).1,
            default: default.and_then(number_in),
        }
    }
}

/// The number that a value is, or that the only field of an input object has.
fn number_in(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::Object(fields) if fields.len() == 1 => fields.values().next().and_then(number_in),
        _ => None,
    }
}

/// True for the types of pages, and of a subscription's payloads.
fn is_connection(name: &str) -> bool {
    name.ends_with("Connection") || name.ends_with("Batch")
}

/// The name of a type, and true if it is a list.
fn named(of: &Type) -> (&str, bool) {
    match &of.base {
        BaseType::Named(name) => (name.as_str(), false),
        BaseType::List(item) => (named(item).0, true),
    }
}

/// The size of the schema.
#[derive(Default)]
struct Sizes {
    types: u64,
    fields: u64,
    arguments: u64,
    input_fields: u64,
    enum_values: u64,
}

/// Types that every schema has beside its own: scalars, and those of introspection.
const BUILT_IN: u64 = 13;

impl Sizes {
    /// The fields of introspection: the type that has each, its name, its type, and the number of items of a list.
    fn introspection(&self) -> Vec<(&'static str, &'static str, &'static str, Option<u64>)> {
        let types = self.types + BUILT_IN;
        let average = |all: u64, of: u64| Some(all.div_ceil(of.max(1)).max(1));
        // Types that have fields lead to types that have more of them.
        let fields = average(self.fields, self.types).map(|fields| fields.max(4));
        let mut all = vec![
            ("Query", "__schema", "__Schema", None),
            ("Query", "__type", "__Type", None),
            ("__Schema", "types", "__Type", Some(types)),
            ("__Schema", "queryType", "__Type", None),
            ("__Schema", "mutationType", "__Type", None),
            ("__Schema", "subscriptionType", "__Type", None),
            ("__Schema", "directives", "__Directive", Some(6)),
            ("__Type", "fields", "__Field", fields),
            ("__Type", "interfaces", "__Type", Some(1)),
            ("__Type", "possibleTypes", "__Type", Some(1)),
            ("__Type", "enumValues", "__EnumValue", average(self.enum_values, self.types)),
            ("__Type", "inputFields", "__InputValue", average(self.input_fields, self.types)),
            ("__Type", "ofType", "__Type", None),
            ("__Field", "args", "__InputValue", average(self.arguments, self.fields)),
            ("__Field", "type", "__Type", None),
            ("__InputValue", "type", "__Type", None),
            ("__Directive", "args", "__InputValue", Some(2)),
        ];
        for (parent, names) in [
            ("__Schema", &["description"][..]),
            ("__Type", &["kind", "name", "description", "specifiedByURL", "specifiedByUrl", "isOneOf"]),
            ("__Field", &["name", "description", "isDeprecated", "deprecationReason"]),
            ("__InputValue", &["name", "description", "defaultValue", "isDeprecated", "deprecationReason"]),
            ("__EnumValue", &["name", "description", "isDeprecated", "deprecationReason"]),
            ("__Directive", &["name", "description", "locations", "isRepeatable", "isDeprecated", "deprecationReason"]),
        ] {
            all.extend(names.iter().map(|name| (parent, *name, "String", None)));
        }
        all
    }
}

fn introspection_arguments(field: &str) -> Vec<Argument> {
    let name = match field {
        "__type" => "name",
        "fields" | "enumValues" | "inputFields" | "args" | "directives" => "includeDeprecated",
        _ => return Vec::new(),
    };
    vec![Argument { name: name.to_owned(), is_list: false, default: None }]
}
