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

const faults = new Linter({ configType: "flat" }).verify(text, config, "schema.graphql");
for (const { line, ruleId, message } of faults) console.log(`schema.graphql:${line}: ${ruleId}: ${message}`);
process.exit(faults.length > 0 ? 1 : 0);
