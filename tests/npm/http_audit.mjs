// Holds a gateway to GraphQL over HTTP, by the audits of graphql-http: node http_audit.mjs URL

import { auditServer } from "graphql-http";

const [url] = process.argv.slice(2);
const FEWEST = 61;

const results = await auditServer({ url });
const failed = results.filter(({ status }) => status !== "ok");
for (const { id, name, status, reason } of failed) console.log(`${status}: ${id} ${name}: ${reason}`);
console.log(`${results.length} audits, ${failed.length} not ok`);
if (results.length < FEWEST) console.log(`there should be ${FEWEST} or more`);
process.exit(failed.length > 0 || results.length < FEWEST ? 1 : 0);
