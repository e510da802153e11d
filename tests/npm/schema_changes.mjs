// Names what breaks clients between two graphs, and fails where there is anything: node schema_changes.mjs OLD NEW

import { readFileSync } from "node:fs";
import { buildSchema, findBreakingChanges } from "graphql";

const [before, after] = process.argv.slice(2).map(path => buildSchema(readFileSync(path, "utf8")));
const changes = findBreakingChanges(before, after);
for (const { type, description } of changes) console.log(`${type}: ${description}`);
process.exit(changes.length > 0 ? 1 : 0);
