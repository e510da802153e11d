// Takes the examples out of docs/clients.md and has them compiled against schema.graphql by the clients' own tools.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import babel from "@babel/core";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../..");

/** Runs one of the tools in a directory; throws an error with the tool's output where the tool fails. */
function run(generated, tool, ...words) {
  try {
    execFileSync(join(here, "node_modules/.bin", tool), words, { cwd: generated, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    throw new Error(`${tool} fails:\n${error.stdout}${error.stderr}`);
  }
}

/** The files that the page has: blocks with a name after the language. */
function blocks() {
  const page = readFileSync(join(root, "docs/clients.md"), "utf8");
  return [...page.matchAll(/^```(\w+) (\S+)\n(.*?)^```$/gms)].map(([, language, name, text]) => ({ language, name, text }));
}

/** The text of a script on the page. */
export function script(name) {
  return blocks().find(block => block.name === name).text;
}

/** Puts what relay-compiler wrote in place of the tagged texts, as a bundler does. */
const relay = {
  name: "relay",
  setup(bundler) {
    bundler.onLoad({ filter: /Feed\.ts$/ }, async ({ path }) => {
      const { code } = await babel.transformAsync(readFileSync(path, "utf8"), {
        filename: path,
        configFile: false,
        parserOpts: { plugins: ["typescript"] },
        plugins: [["relay", { eagerEsModules: true }]],
      });
      return { contents: code, loader: "ts" };
    });
  },
};

/** Compiles all examples in a directory that no other process may use meanwhile; returns the modules by name. */
export async function compile(directory = "generated") {
  const generated = join(here, directory);
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(join(generated, "__generated__"), { recursive: true });
  copyFileSync(join(root, "schema.graphql"), join(generated, "schema.graphql"));
  for (const { language, name, text } of blocks()) {
    if (["ts", "json"].includes(language)) writeFileSync(join(generated, name), text);
  }
  writeFileSync(join(generated, "tsconfig.json"), JSON.stringify({
    extends: "../tsconfig.json", include: ["."], exclude: ["built"],
  }));
  run(generated, "graphql-codegen", "--config", "codegen.ts");
  run(generated, "relay-compiler", "relay.config.json");
  run(generated, "tsc", "--project", "tsconfig.json");
  const names = ["apollo", "urql", "Feed", "socket", "sse", "stream"];
  await build({
    absWorkingDir: generated,
    entryPoints: names.map(name => `${name}.ts`),
    outdir: "built",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external",
    logLevel: "silent",
    plugins: [relay],
  });
  await build({
    absWorkingDir: generated,
    entryPoints: ["app.ts"],
    outfile: "built/app.js",
    bundle: true,
    format: "esm",
    logLevel: "silent",
  });
  const modules = names.map(async name => [name, await import(join(generated, "built", `${name}.mjs`))]);
  return Object.fromEntries(await Promise.all(modules));
}
