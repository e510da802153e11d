// Documents in which every kind of literal, and variables of every type, stand at every kind of place.

/** Places of values: a document with `%` where the value stands, and `$` where variables are defined. */
const PLACES = [
  "query $ { syncEvents(first: %) { head } }",
  "query $ { syncEvents(after: %) { head } }",
  "query $ { node(id: %) { id } }",
  "query $ { nodes(ids: %) { id } }",
  "query $ { nodes(ids: [%]) { id } }",
  "query $ { application(name: %) { name } }",
  "query $ { syncEvents(filter: %) { head } }",
  "query $ { syncEvents(filter: {orgs: %}) { head } }",
  "query $ { syncEvents(filter: {orgs: [%]}) { head } }",
  "query $ { syncEvents(filter: {severities: %}) { head } }",
  "query $ { syncEvents(filter: {severities: [%]}) { head } }",
  "query $ { syncEvents(filter: {admin: %}) { head } }",
  "query $ { syncEvents(filter: {and: %}) { head } }",
  "query $ { syncEvents(filter: {and: [%]}) { head } }",
  "query $ { syncEvents(filter: {published: {from: %}}) { head } }",
  "query $ { syncEvents(orderBy: %) { head } }",
  "query $ { syncEvents(orderBy: {field: POSITION, direction: %}) { head } }",
  "query $ { ingestion { coverage(published: %) { from } } }",
  "query $ { syncEvent(uuid: %) { org } }",
  "query $ { __typename @include(if: %) }",
  "query $ { __type(name: %) { name } }",
];

const LITERALS = [
  "null", "true", "1", "-1", "0", "-0", "1.0", "1.5", "1e2", "2147483648", "99999999999999999999", "\"\"", "\"1\"", "\"\"\"x\"\"\"", "INFO", "ASC", "NOTHING",
  "[]", "[null]", "[1]", "[\"a\"]", "[INFO]", "[[\"a\"]]", "[{}]", "{}", "{orgs: [\"a\"]}", "{types: \"a\"}", "{nothing: 1}", "{from: null}",
  "{field: POSITION, direction: ASC}", "\"2026-01-01T00:00:00Z\"", "\"0f3c9b1e-5d2a-4c8e-9f70-1b2a3c4d5e6f\"", "$undefined",
];

const TYPES = [
  "Int", "Int!", "Int = 1", "Int = null", "[Int]", "String", "String!", "String = \"a\"", "String! = \"a\"", "[String]", "[String!]", "[String!]!", "[[String!]]",
  "Boolean", "Boolean!", "Boolean = true", "Boolean = null", "ID", "ID!", "ID = 1", "[ID]", "[ID!]", "[ID!]!", "[ID]! = []", "Float", "Float!",
  "Severity", "Severity!", "[Severity]", "[Severity!]", "OrderDirection", "OrderDirection!", "OrderDirection = ASC", "SyncEventFilter", "SyncEventFilter!",
  "[SyncEventFilter!]", "EntityFilter", "SyncEventOrder", "TimeRange", "TimeRange!", "TimeRange = {}", "DateTime", "UUID", "UUID!", "JSON", "Nothing", "SyncEvent",
];

/** Places where a directive may stand or not. */
const DIRECTED = [
  "query % { __typename }", "{ __typename % }", "{ ... % { __typename } }", "{ ... on Query % { __typename } }", "{ ...F % } fragment F on Query { __typename }",
  "{ ...F } fragment F on Query % { __typename }", "query ($n: Int %) { syncEvents(first: $n) { head } }", "subscription % { syncEvents { position } }",
];

const DIRECTIVES = [
  "@include(if: true)", "@skip(if: false)", "@include", "@include(if: null)", "@include(when: true)", "@include(if: true, if: true)", "@nothing", "@deprecated",
  "@specifiedBy(url: \"x\")", "@oneOf", "@include(if: true) @include(if: true)", "@include(if: true) @skip(if: true)",
];

export function* systematicRequests(schema) {
  const made = (name, query) => ({ name, query, variables: "{}" });
  for (const place of PLACES) {
    for (const literal of LITERALS) {
      yield made(`literal ${literal}`, place.replace("$ ", "").replace("%", () => literal));
    }
    for (const type of TYPES) {
      yield made(`variable of type ${type}`, place.replace("$", () => `($v: ${type})`).replace("%", () => "$v"));
    }
  }
  for (const place of DIRECTED) {
    for (const directive of DIRECTIVES) yield made(`directive ${directive}`, place.replace("%", () => directive));
  }
  for (const condition of Object.keys(schema.getTypeMap())) {
    if (condition.startsWith("__")) continue;
    for (const parent of ["%", "ingestion { % }", "syncEvents { nodes { % } }", "node(id: 1) { % }"]) {
      yield made(`condition ${condition}`, `{ ${parent.replace("%", `... on ${condition} { __typename }`)} }`);
    }
  }
}
