// Says of each document of tests/validation/, of systematic ones and of COUNT random ones, what graphql-js makes of it, as a
// line of JSON: node validation.mjs schema.graphql tests/validation SEED COUNT

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  buildSchema, getNullableType, getVariableValues, GraphQLError, isInputObjectType, parse, specifiedRules, validate,
} from "graphql";
import { randomRequests } from "./random_documents.mjs";
import { systematicRequests } from "./systematic_documents.mjs";

const [schemaPath, directory, seed, count] = process.argv.slice(2);
const schema = buildSchema(readFileSync(schemaPath, "utf8"));

// The scalars that GraphQL does not have take what they take at the gateway.
const takes = (name, isRight) => {
  const type = schema.getType(name);
  const check = (value) => {
    if (!isRight(value)) throw new TypeError(`no ${name}`);
    return value;
  };
  type.parseValue = check;
  type.parseLiteral = (node) => check(node.kind === "IntValue" ? Number(node.value) : node.kind === "StringValue" ? node.value : {});
};
const isText = (value, pattern) => typeof value === "string" && pattern.test(value);
takes("DateTime", (value) => isText(value, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/));
takes("UUID", (value) => isText(value, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i));
takes("URL", (value) => typeof value === "string");
takes("Position", (value) => isText(value, /^\d+$/) || (Number.isSafeInteger(value) && value >= 0));

// The field that counts what matches: the only one whose argument has a default, but may not be null.
const countField = Object.values(schema.getType("SyncEventConnection").getFields())
  .find((field) => field.args.some((argument) => argument.name === "upTo")).name;

function blocks(file) {
  return readFileSync(join(directory, file), "utf8").replaceAll("COUNT", countField).split(/^---\n/m)
    .map((block) => block.replace(/\n$/, ""));
}

function* writtenRequests() {
  const files = readdirSync(directory).filter((file) => file.endsWith(".graphql")).sort();
  for (const file of files) {
    for (const [index, query] of blocks(file).entries()) {
      yield { name: `${file} ${index + 1}`, query, variables: "{}" };
    }
  }
  for (const [index, block] of blocks("coercion.txt").entries()) {
    const [query, ...values] = block.split("\n");
    for (const variables of values) yield { name: `coercion.txt ${index + 1}`, query, variables };
  }
}

function* requests() {
  yield* writtenRequests();
  yield* systematicRequests(schema);
  yield* randomRequests(schema, Number(seed), Number(count));
}

/** The rule for variables in `@oneOf` inputs, which graphql-js 16 leaves out where the input itself may not be null. */
const oneOfVariables = (context) => ({
  OperationDefinition: {
    leave(operation) {
      const types = new Map(operation.variableDefinitions.map(({ variable, type }) => [variable.name.value, type]));
      for (const { node, parentType } of context.getRecursiveVariableUsages(operation)) {
        const type = types.get(node.name.value);
        const input = parentType && getNullableType(parentType);
        if (type && type.kind !== "NonNullType" && isInputObjectType(input) && input.isOneOf) {
          context.reportError(new GraphQLError(`$${node.name.value} may be null`));
        }
      }
    },
  },
});

/** What graphql-js makes of a request before it executes it. */
function judge({ name, query, variables }) {
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return { phase: "syntax", says: error.message };
  }
  const rules = name.startsWith("own.graphql") ? specifiedRules : [...specifiedRules, oneOfVariables];
  const [fault] = validate(schema, document, rules);
  if (fault) return { phase: "document", says: fault.message };
  const [operation] = document.definitions.filter(({ kind }) => kind === "OperationDefinition");
  const { errors } = getVariableValues(schema, operation.variableDefinitions ?? [], JSON.parse(variables));
  const operationName = operation.name?.value ?? null;
  return errors ? { phase: "variables", says: errors[0].message, operationName } : { phase: "none", says: "", operationName };
}

const lines = [];
for (const request of requests()) lines.push(JSON.stringify({ ...request, ...judge(request) }));
process.stdout.write(`${lines.join("\n")}\n`);
