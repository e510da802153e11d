// Computes costs of documents by IBM's cost specification, from the prices in a schema: node prices.mjs schema.graphql
// DOCUMENTS, a file of JSON with a list of [document, variables]. Writes the list of their costs as JSON. Fails where the prices
// break a rule of the specification.

import { readFileSync } from "node:fs";
import {
  buildSchema, getNamedType, getNullableType, getVariableValues, GraphQLInt, isInputObjectType, isInterfaceType, isLeafType,
  isListType, isObjectType, Kind, parse, valueFromAST,
} from "graphql";

const [schemaPath, documentsPath] = process.argv.slice(2);
const schema = buildSchema(readFileSync(schemaPath, "utf8"));

/** The arguments of a directive where an element has it. */
function directive(element, name) {
  const found = element.astNode?.directives.find((one) => one.name.value === name);
  if (!found) return undefined;
  const definition = schema.getDirective(name);
  return Object.fromEntries(definition.args.map((argument) => {
    const given = found.arguments.find((one) => one.name.value === argument.name);
    return [argument.name, given ? valueFromAST(given.value, argument.type) : argument.defaultValue];
  }));
}

/** What the specification forbids: sections 9.1 and 9.2. */
function* faults() {
  for (const type of Object.values(schema.getTypeMap())) {
    for (const field of isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : []) {
      const of = `${type.name}.${field.name}`;
      if (isInterfaceType(type) && directive(field, "cost")) yield `${of} is a field of an interface, with a price`;
      const size = directive(field, "listSize");
      if (!size) continue;
      const { assumedSize, slicingArguments = [], sizedFields = [], requireOneSlicingArgument } = size;
      const isList = (one) => isListType(getNullableType(one?.type));
      if (!isList(field) && sizedFields.length === 0) yield `${of} is no list`;
      const fields = sizedFields.map((name) => getNamedType(field.type).getFields()[name]);
      if (!fields.every(isList)) yield `${of} has no lists ${sizedFields}`;
      const slicing = slicingArguments.map((name) => field.args.find((one) => one.name === name));
      if (!slicing.every((one) => one && getNullableType(one.type) === GraphQLInt)) yield `${of} has no Int ${slicingArguments}`;
      const hasDefault = slicing.some((one) => one?.defaultValue !== undefined);
      if (assumedSize !== undefined && slicing.length > 0 && (hasDefault || requireOneSlicingArgument)) {
        yield `${of} assumes a size that an argument has`;
      }
    }
  }
}

/** The price of a field, an argument or a field of an input object. */
function weight(element, parent) {
  if (isInterfaceType(parent)) {
    const fields = schema.getPossibleTypes(parent).map((type) => type.getFields()[element.name]);
    return Math.max(...fields.map((field) => weight(field)));
  }
  const type = getNamedType(element.type);
  const cost = directive(element, "cost") ?? directive(type, "cost");
  return cost ? Number(cost.weight) : isLeafType(type) ? 0 : 1;
}

/** The prices of the fields in a value that is given. */
function inputCost(type, value) {
  const bare = getNullableType(type);
  if (value == null) return 0;
  if (isListType(bare)) return [value].flat().reduce((sum, item) => sum + inputCost(bare.ofType, item), 0);
  if (!isInputObjectType(bare)) return 0;
  return Object.entries(value).reduce((sum, [name, inner]) => {
    const field = bare.getFields()[name];
    return sum + weight(field) + inputCost(field.type, inner);
  }, 0);
}

function costOf(text, given) {
  const document = parse(text);
  const fragments = new Map(document.definitions.map((one) => [one.name?.value, one]));
  const operation = document.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION);
  const { coerced: variables } = getVariableValues(schema, operation.variableDefinitions ?? [], given);

  const setCost = (set, parent, sizes) => set.selections.reduce((sum, item) => {
    if (item.kind === Kind.FIELD) return sum + fieldCost(item, parent, sizes);
    const fragment = item.kind === Kind.FRAGMENT_SPREAD ? fragments.get(item.name.value) : item;
    const on = fragment.typeCondition ? schema.getType(fragment.typeCondition.name.value) : parent;
    return sum + setCost(fragment.selectionSet, on, sizes);
  }, 0);

  function fieldCost(node, parent, sizes) {
    const name = node.name.value;
    if (name === "__typename") return 1;
    const field = parent.getFields()[name];
    let cost = weight(field, parent);
    const values = Object.fromEntries(field.args.map((argument) => [argument.name, argument.defaultValue]));
    for (const { name: { value: name }, value } of node.arguments) {
      const argument = field.args.find((one) => one.name === name);
      values[name] = valueFromAST(value, argument.type, variables);
      cost += weight(argument) + inputCost(argument.type, values[name]);
    }
    const listSize = directive(field, "listSize");
    const said = (listSize?.slicingArguments ?? []).map((name) => values[name]).filter(Number.isInteger);
    const size = said.length > 0 ? Math.max(...said) : listSize?.assumedSize;
    const isList = isListType(getNullableType(field.type));
    const times = isList ? (listSize && !listSize.sizedFields ? size : sizes.get(name) ?? 1) : 1;
    const inner = new Map((listSize?.sizedFields ?? []).map((sized) => [sized, size]));
    return node.selectionSet ? cost + times * setCost(node.selectionSet, getNamedType(field.type), inner) : cost;
  }

  const root = operation.operation === "subscription" ? schema.getSubscriptionType() : schema.getQueryType();
  return setCost(operation.selectionSet, root, new Map());
}

const found = [...faults()];
for (const fault of found) console.log(fault);
if (found.length > 0) process.exit(1);
const documents = JSON.parse(readFileSync(documentsPath, "utf8"));
console.log(JSON.stringify(documents.map(([text, variables]) => costOf(text, variables))));
