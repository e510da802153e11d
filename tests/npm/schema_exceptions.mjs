// The exceptions that schema_rules.mjs makes to the rules of linters, each with its reason.

/** Rules that are not applied. */
export const OFF = {
  "alphabetize": "fields stand in the order in which people read them",
  "enum-values-sorted-alphabetically": "values stand in the order in which people read them",
  "input-object-fields-sorted-alphabetically": "fields stand in the order in which people read them",
  "interface-fields-sorted-alphabetically": "fields stand in the order in which people read them",
  "type-fields-sorted-alphabetically": "fields stand in the order in which people read them",
  "input-name": "the rule is for mutations whose only argument is called `input`; there are no mutations",
  "no-root-type": "the rule forbids a root for subscriptions, which is what the graph is for",
  "strict-id-in-types": "only nodes have an `id`, since caches merge what has the same one; tests/it/schema.rs checks it",
};

/** Options of rules. */
export const OPTIONS = {
  // Connections have `nodes` beside their edges.
  "relay-edge-types": { listTypeCanWrapOnlyEdgeType: false },
  "require-description": {
    types: true, DirectiveDefinition: true, rootField: true, FieldDefinition: true, InputValueDefinition: true,
    EnumValueDefinition: true,
  },
};

/** Single findings that are as they should be: [rule, what it says]. */
export const EXCEPTIONS = [
  // The viewer comes from the settings alone, so it cannot fail.
  ["require-nullable-result-in-root", "Query: Unexpected non-null result type \"Viewer\" in type \"Query\""],
  // Tallies are paged forward only, since each page counts all events.
  ["relay-arguments", "SyncEventConnection: Field `top` must contain an argument `last`, that return Int."],
  ["relay-arguments", "SyncEventConnection: Field `top` must contain an argument `before`, that return String or Scalar."],
  // A tally is no object with a global id.
  ["relay-edge-types", "TallyEdge: Edge type's field `node` must implement `Node` interface."],
];
