// Holds a graph to the rules of graphql-eslint and graphql-schema-linter, but for schema_exceptions.mjs:
// node schema_rules.mjs schema.graphql

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import graphql from "@graphql-eslint/eslint-plugin";
import { Linter } from "eslint";
import { EXCEPTIONS, OFF, OPTIONS } from "./schema_exceptions.mjs";

const [path] = process.argv.slice(2);
const text = readFileSync(path, "utf8");
const modules = join(fileURLToPath(new URL(".", import.meta.url)), "node_modules");
const { configs } = graphql;
/** The names of all rules. */
const known = new Set();

/** The type in which a line of the file stands. */
const typeAt = (line) =>
  text.split("\n").slice(0, line).findLast((one) => /^(type|interface|input|enum|scalar|directive) /.test(one))?.split(/[ {(]/)[1];

function eslint() {
  const settings = ["schema-all", "schema-recommended", "schema-relay"].map((name) => configs[name].rules);
  const rules = {};
  for (const [name, setting] of Object.entries(Object.assign({}, ...settings))) {
    const rule = name.replace("@graphql-eslint/", "");
    known.add(rule);
    const [severity, options] = [setting].flat();
    const own = OPTIONS[rule] ?? options;
    if (!(rule in OFF)) rules[`graphql/${rule}`] = own ? [severity, own] : severity;
  }
  const config = [{
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: path } } },
    plugins: { graphql },
    rules,
  }];
  const found = new Linter({ configType: "flat" }).verify(text, config, "schema.graphql");
  return found.map(({ line, ruleId, message }) => ({ line, rule: ruleId?.replace("graphql/", ""), message }));
}

function schemaLinter() {
  const directory = join(modules, "graphql-schema-linter");
  const files = readdirSync(join(directory, "lib/rules"));
  const all = files.map((file) => file.replace(".js", "").replaceAll("_", "-"));
  all.forEach((rule) => known.add(rule));
  const rules = all.filter((rule) => !(rule in OFF));
  const bin = createRequire(import.meta.url).resolve("graphql-schema-linter/package.json");
  const program = join(dirname(bin), JSON.parse(readFileSync(bin, "utf8")).bin["graphql-schema-linter"]);
  const ran = spawnSync(process.execPath, [program, "--format", "json", "--rules", rules.join(","), path], { encoding: "utf8" });
  if (!ran.stdout.startsWith("{")) throw new Error(`graphql-schema-linter fails:\n${ran.stdout}${ran.stderr}`);
  const { errors } = JSON.parse(ran.stdout);
  return errors.map(({ location, message, rule }) => ({ line: location.line, rule, message }));
}

const found = [...eslint(), ...schemaLinter()].map((fault) => ({ ...fault, said: `${typeAt(fault.line)}: ${fault.message}` }));
const isException = ({ rule, said }) => EXCEPTIONS.some(([name, says]) => name === rule && says === said);
const faults = found.filter((fault) => !isException(fault));
for (const { line, rule, said } of faults) console.log(`schema.graphql:${line}: ${rule}: ${said}`);
// An exception that is made for nothing hides what comes later.
const unused = EXCEPTIONS.filter(([name, says]) => !found.some(({ rule, said }) => name === rule && says === said));
for (const [rule, says] of unused) console.log(`schema_exceptions.mjs: nothing is found of ${rule}: ${says}`);
const unknown = Object.keys(OFF).filter((rule) => !known.has(rule));
for (const rule of unknown) console.log(`schema_exceptions.mjs: no linter has the rule ${rule}`);
process.exit(faults.length + unused.length + unknown.length > 0 ? 1 : 0);
