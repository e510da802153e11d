//! The directives of the schema.

use std::borrow::Cow;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Directive;
use async_graphql::registry::{__DirectiveLocation as Location, MetaDirective, MetaInputValue, Registry};
use async_graphql::{
    ContextDirective, CustomDirective, CustomDirectiveFactory, ServerError, ServerResult, TypeDirective,
};

/// The field is null only if it has failed, and then `errors` has the reason. The type allows null, so that the rest of the
/// answer stays as it is.
#[TypeDirective(name = "semanticNonNull", location = "FieldDefinition")]
pub(super) fn semantic_non_null(
    #[graphql(
        desc = "The depths of nested lists that the directive is about: 0 is the field itself.",
        default_with = "vec![0]"
    )]
    levels: Vec<i32>,
) {
}

/// The directives for prices, by IBM's cost specification: `request::cost::prices` prints them.
pub(super) struct PriceDirectives;

impl CustomDirectiveFactory for PriceDirectives {
    fn name(&self) -> Cow<'static, str> {
        "cost".into()
    }

    fn register(&self, registry: &mut Registry) {
        registry.add_directive(cost());
        registry.add_directive(list_size());
    }

    fn create(&self, _: &ContextDirective<'_>, directive: &Directive) -> ServerResult<Box<dyn CustomDirective>> {
        Err(ServerError::new("the directive is for schemas only", Some(directive.name.pos)))
    }
}

fn cost() -> MetaDirective {
    let weight =
        "The price, as a decimal number. Without the directive, an object costs 1, and a scalar or an enum nothing.";
    directive(
        "cost",
        "The price of a field, or of an argument that is given, by IBM's cost specification\n\
         (https://ibm.github.io/graphql-specs/cost-spec.html). What a list or a page selects counts once for each item. Beyond\n\
         these prices, every 10 values in the arguments of a field cost 1. Some prices depend on more than a directive can say,\n\
         and have the default or the limit here: `upTo` costs a hundredth of its value, a histogram costs for its buckets and\n\
         for each series, and `nodes` costs for its ids.",
        vec![
            Location::ARGUMENT_DEFINITION,
            Location::ENUM,
            Location::FIELD_DEFINITION,
            Location::INPUT_FIELD_DEFINITION,
            Location::OBJECT,
            Location::SCALAR,
        ],
        [("weight", "String!", None, weight)],
    )
}

fn list_size() -> MetaDirective {
    directive(
        "listSize",
        "The number of items for which a list costs, by IBM's cost specification\n\
         (https://ibm.github.io/graphql-specs/cost-spec.html).",
        vec![Location::FIELD_DEFINITION],
        [
            ("assumedSize", "Int", None, "The number if none of the arguments says it."),
            ("slicingArguments", "[String!]", None, "The arguments whose value is the number. The greatest counts."),
            (
                "sizedFields",
                "[String!]",
                None,
                "The fields of the object that have these lists; the field itself without it.",
            ),
            (
                "requireOneSlicingArgument",
                "Boolean",
                Some("true"),
                "True if exactly one of the arguments must be given.",
            ),
        ],
    )
}

/// The definition of a directive; each argument has a name, a type, a default and a description.
fn directive<const N: usize>(
    name: &str,
    description: &str,
    locations: Vec<Location>,
    arguments: [(&str, &str, Option<&str>, &str); N],
) -> MetaDirective {
    let argument = |(name, of, default, description): (&str, &str, Option<&str>, &str)| {
        let mut argument = MetaInputValue::new(name.to_owned(), of.to_owned());
        argument.default_value = default.map(str::to_owned);
        argument.description = Some(description.to_owned());
        (name.to_owned(), argument)
    };
    MetaDirective {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        locations,
        args: arguments.into_iter().map(argument).collect::<IndexMap<_, _>>(),
        is_repeatable: false,
        visible: None,
        composable: None,
    }
}
