// Random documents and values of variables: most parts fit the schema, and some do not.

import {
  getNamedType, getNullableType, isAbstractType, isCompositeType, isEnumType, isInputObjectType, isListType, isNonNullType, isRequiredArgument,
  isRequiredInputField,
} from "graphql";

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const WRONG_LITERALS = ["null", "1", "1.5", "\"x\"", "true", "NOTHING", "[]", "[null]", "{}", "{nothing: 1}", "99999999999", "$undefined"];
const WRONG_VALUES = ["null", "1", "1.5", "-0", "1e2", "\"x\"", "true", "[]", "[null]", "{}", "{\"nothing\": 1}", "99999999999"];

const TEXTS = {
  DateTime: ["\"2026-01-31T23:59:59.123Z\"", "\"2026-01-01T00:00:00+01:00\""],
  UUID: ["\"0f3c9b1e-5d2a-4c8e-9f70-1b2a3c4d5e6f\""],
  URL: ["\"https://acme-admin.okta.com/\""],
  Position: ["\"0\"", "\"41\""],
  JSON: ["\"x\""],
  String: ["\"a\"", "\"b \\u00e9\"", "\"\""],
  ID: ["\"x\"", "7", "\"SyncEvent:1\""],
  Boolean: ["true", "false"],
  Int: ["1", "2", "1", "0"],
  Float: ["1.5", "2"],
};

class RandomRequest {
  constructor(schema, random) {
    this.schema = schema;
    this.random = random;
    this.variables = new Map();
    this.fragments = [];
    this.isWild = random() < 0.5;
    this.hasWrongValues = random() < 0.3;
  }

  pick(items) {
    return items[Math.floor(this.random() * items.length)];
  }

  /** True so often; never, where the document is to be valid. */
  errs(share) {
    return this.isWild && this.random() < share;
  }

  chance(share) {
    return this.random() < share;
  }

  literal(type, depth) {
    if (this.errs(0.03)) return this.pick(WRONG_LITERALS);
    if (!isNonNullType(type) && this.chance(0.05)) return "null";
    const bare = getNullableType(type);
    if (isListType(bare)) {
      if (this.chance(0.2)) return this.value(bare.ofType, false, depth + 1);
      return `[${Array.from({ length: Math.floor(this.random() * 3) }, () => this.value(bare.ofType, false, depth + 1)).join(", ")}]`;
    }
    if (isEnumType(bare)) return this.errs(0.1) ? `"${bare.getValues()[0].name}"` : this.pick(bare.getValues()).name;
    if (!isInputObjectType(bare)) return this.pick(TEXTS[bare.name]);
    const fields = Object.values(bare.getFields());
    let chosen = bare.isOneOf
      ? [this.pick(fields)]
      : fields.filter((field) => isRequiredInputField(field) || (depth < 3 && this.chance(1.5 / fields.length)));
    if (this.errs(0.1)) chosen = chosen.slice(1);
    if (this.errs(0.05)) chosen = [...chosen, ...chosen.slice(0, 1)];
    const written = chosen.map((field) => `${field.name}: ${this.value(field.type, field.defaultValue !== undefined, depth + 1)}`);
    if (this.errs(0.03)) written.push("nothing: 1");
    return `{${written.join(", ")}}`;
  }

  /** A literal, or a variable that fits the place most often. */
  value(type, hasDefault, depth) {
    if (this.errs(0.02)) return "$undefined";
    if (!this.chance(0.3)) return this.literal(type, depth);
    const name = this.errs(0.2) && this.variables.size > 0 ? this.pick([...this.variables.keys()]) : `v${this.variables.size}`;
    if (!this.variables.has(name)) this.variables.set(name, this.definition(type, hasDefault));
    return `$${name}`;
  }

  definition(type, hasDefault) {
    let written = String(type);
    if (!written.endsWith("!") && this.chance(0.3)) written += "!";
    if (written.endsWith("!") && (hasDefault ? this.chance(0.5) : this.errs(0.15))) written = written.slice(0, -1);
    if (this.errs(0.05)) written = `[${written}]`;
    if (this.errs(0.05)) written = this.pick(["Int", "String", "[ID!]", "Boolean!", "SyncEventFilter", "SyncEvent", "Nothing"]);
    return { type, written, initial: this.chance(0.2) ? this.constant(type) : null };
  }

  /** A literal without variables. */
  constant(type) {
    const known = this.value;
    this.value = (inner, _, depth) => this.literal(inner, depth);
    const written = this.literal(type, 2).replaceAll("$undefined", "1");
    this.value = known;
    return written;
  }

  arguments(known) {
    let chosen = known.filter((argument) => isRequiredArgument(argument) || this.chance(0.3));
    if (this.errs(0.05)) chosen = chosen.slice(1);
    // Small pages keep documents within the limits.
    const first = known.find(({ name }) => name === "first");
    if (first && !chosen.includes(first)) chosen = [...chosen, first];
    if (this.errs(0.03)) chosen = [...chosen, ...chosen.slice(0, 1)];
    const written = chosen.map((argument) =>
      `${argument.name}: ${argument.name === "first" ? this.pick(["1", "1", this.value(argument.type, argument.defaultValue !== undefined, 0)]) : this.value(argument.type, argument.defaultValue !== undefined, 0)}`);
    if (this.errs(0.02)) written.push("nothing: 1");
    return written.length > 0 ? `(${written.join(", ")})` : "";
  }

  directives() {
    let written = "";
    if (this.chance(0.08)) {
      written += ` @${this.pick(["skip", "include"])}(if: ${this.value(this.schema.getDirective("skip").args[0].type, false, 0)})`;
    }
    if (this.errs(0.02)) written += this.pick([" @nothing", " @skip", " @include(if: 1)", " @deprecated", " @skip(if: true) @skip(if: true)"]);
    return written;
  }

  field(parent, depth, isRoot) {
    if (!isRoot && this.chance(0.08)) return "__typename";
    if (this.errs(0.02)) return "nothing";
    const fields = Object.values(parent.getFields?.() ?? {}).filter((field) => depth < 4 || !isCompositeType(getNamedType(field.type)));
    if (fields.length === 0) return "__typename";
    const field = this.pick(fields);
    const target = getNamedType(field.type);
    const alias = this.chance(0.2) ? `${this.pick(["a", "b", "c", field.name])}: ` : "";
    const head = `${alias}${field.name}${this.arguments(field.args)}${isRoot && parent === this.schema.getSubscriptionType() ? "" : this.directives()}`;
    const needs = isCompositeType(target) !== this.errs(0.02);
    return needs ? `${head} ${this.selection(target, depth + 1)}` : head;
  }

  fragment(parent, depth, isRoot) {
    let on = parent;
    if (isAbstractType(parent)) on = this.pick([parent, ...this.schema.getPossibleTypes(parent)]);
    else if (parent.getInterfaces?.().length > 0 && this.chance(0.3)) on = this.pick(parent.getInterfaces());
    if (this.errs(0.05)) on = this.pick(Object.values(this.schema.getTypeMap()).filter(({ name }) => !name.startsWith("__")));
    const inner = isCompositeType(on) ? this.selection(on, depth + 1, isRoot) : "{ __typename }";
    const directives = isRoot && parent === this.schema.getSubscriptionType() ? "" : this.directives();
    if (this.chance(0.4)) return `... ${on === parent && this.chance(0.5) ? "" : `on ${on.name}`}${directives} ${inner}`;
    if (this.fragments.length > 0 && this.errs(0.3)) return `...${this.pick(this.fragments).name}`;
    const name = `F${this.fragments.length}`;
    this.fragments.push({ name, text: `fragment ${name} on ${on.name} ${inner}` });
    return `...${name}${directives}`;
  }

  selection(parent, depth, isRoot = false) {
    const most = isRoot && parent === this.schema.getSubscriptionType() && !this.errs(0.2) ? 1 : 3;
    const items = Array.from({ length: 1 + Math.floor(this.random() * most) }, () =>
      (depth < 4 && this.chance(0.15) ? this.fragment(parent, depth, isRoot) : this.field(parent, depth, isRoot)));
    return `{ ${items.join(" ")} }`;
  }

  /** Something small that is dropped, doubled or moved, so that the text may be no document any more. */
  broken(text) {
    const tokens = text.match(/"(?:\\.|[^"\\])*"|\.\.\.|[_A-Za-z][_0-9A-Za-z]*|-?[0-9.]+|\S/g);
    const at = Math.floor(this.random() * tokens.length);
    if (this.chance(0.4)) tokens.splice(at, 1);
    else if (this.chance(0.4)) tokens.splice(at, 0, tokens[at]);
    else tokens.splice(at, 0, this.pick(tokens));
    return tokens.join(" ");
  }

  document() {
    const isSubscription = this.chance(0.1);
    const root = isSubscription ? this.schema.getSubscriptionType() : this.schema.getQueryType();
    const selection = this.selection(root, 0, true);
    const definitions = [...this.variables].map(([name, { written, initial }]) => `$${name}: ${written}${initial === null ? "" : ` = ${initial}`}`);
    if (this.errs(0.05)) definitions.pop();
    if (this.errs(0.03)) definitions.push("$unused: Int");
    const described = this.chance(0.1) ? "\"of use\" " : "";
    const head = `${described}${isSubscription ? "subscription" : "query"}${this.chance(0.3) ? " Q" : ""}`;
    const fragments = this.fragments.filter(() => !this.errs(0.05)).map(({ text }) => ` ${text}`);
    if (this.errs(0.03)) fragments.push(" fragment Unused on Query { __typename }");
    const text = `${head}${definitions.length > 0 ? ` (${definitions.join(", ")})` : ""} ${selection}${fragments.join("")}`;
    return this.errs(0.15) ? this.broken(text) : text;
  }

  json(type, depth) {
    if (this.hasWrongValues && this.chance(0.15)) return this.pick(WRONG_VALUES);
    if (!isNonNullType(type) && this.chance(0.1)) return "null";
    const bare = getNullableType(type);
    if (isListType(bare)) {
      if (this.chance(0.2)) return this.json(bare.ofType, depth + 1);
      return `[${Array.from({ length: Math.floor(this.random() * 3) }, () => this.json(bare.ofType, depth + 1)).join(", ")}]`;
    }
    if (isEnumType(bare)) return `"${this.pick(bare.getValues()).name}"`;
    if (bare.name === "Int") return this.pick(["1", "1.0", "1e0", "2", "0"]);
    if (!isInputObjectType(bare)) return this.pick(TEXTS[bare.name]);
    const fields = Object.values(bare.getFields());
    let chosen = bare.isOneOf ? [this.pick(fields)] : fields.filter((field) => isRequiredInputField(field) || (depth < 3 && this.chance(1.5 / fields.length)));
    if (this.hasWrongValues && this.chance(0.1)) chosen = chosen.slice(1);
    return `{${chosen.map((field) => `"${field.name}": ${this.json(field.type, depth + 1)}`).join(", ")}}`;
  }

  values() {
    const isRequired = ({ written, initial }) => written.endsWith("!") && initial === null;
    const given = [...this.variables].filter(([, variable]) => (isRequired(variable) ? !this.hasWrongValues || this.chance(0.9) : this.chance(0.7)));
    const value = ({ type, written }) => {
      const json = this.json(type, 0);
      return json === "null" && written.endsWith("!") && !this.hasWrongValues ? this.json(type, 0) : json;
    };
    return `{${given.map(([name, variable]) => `"${name}": ${value(variable)}`).join(", ")}}`;
  }
}

export function* randomRequests(schema, seed, count) {
  const random = numbers(seed);
  for (let number = 1; number <= count; number++) {
    const request = new RandomRequest(schema, random);
    const query = request.document();
    yield { name: `random ${number}`, query, variables: request.values() };
  }
}
