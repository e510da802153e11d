// Holds a graph to Relay's rules, by graphql-eslint: node relay_rules.mjs schema.graphql

import { readFileSync } from "node:fs";
import graphql from "@graphql-eslint/eslint-plugin";
import { Linter } from "eslint";

const [path] = process.argv.slice(2);
const text = readFileSync(path, "utf8");
const config = [{
  files: ["**/*.graphql"],
  languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: path } } },
  plugins: { graphql },
  rules: {
    "graphql/relay-arguments": "error",
    "graphql/relay-connection-types": "error",
    // Connections have `nodes` beside their edges.
    "graphql/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
    "graphql/relay-page-info": "error",
  },
}];

/** What is not as Relay wants it: tallies are paged forward only, since each page counts all events. */
const EXCEPTIONS = [
  // `TallyEdge.node`: a tally is no object with a global id.
  "TallyEdge: Edge type's field `node` must implement `Node` interface.",
  "SyncEventConnection: Field `top` must contain an argument `last`, that return Int.",
  "SyncEventConnection: Field `top` must contain an argument `before`, that return String or Scalar.",
];

const all = new Linter({ configType: "flat" }).verify(text, config, "schema.graphql");
/** The type in which a line of the file stands. */
const typeAt = line => text.split("\n").slice(0, line).findLast(one => one.startsWith("type "))?.split(" ")[1];
const faults = all.filter(({ line, message }) => !EXCEPTIONS.includes(`${typeAt(line)}: ${message}`));
for (const { line, ruleId, message } of faults) console.log(`schema.graphql:${line}: ${ruleId}: ${message}`);
process.exit(faults.length > 0 ? 1 : 0);
