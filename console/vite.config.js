// Builds the page into dist/, from where the gateway's build takes it: every file gzipped, and nothing else.

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

// What dist/ keeps of its own: it is in the repository, so that the directory is there without a build.
const KEPT = ".gitignore";

/** The files of a directory and of those in it. */
async function filesOf(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile() && entry.name !== KEPT);
  return files.map(({ parentPath, name }) => join(parentPath, name));
}

/** Removes the last build, and leaves only gzipped files of this one: the binary holds 2 MB instead of 7. */
function gzipped() {
  let directory;
  return {
    name: "gzipped",
    apply: "build",
    enforce: "post",
    configResolved(config) { directory = join(config.root, config.build.outDir); },
    async buildStart() {
      await mkdir(directory, { recursive: true });
      for (const file of await filesOf(directory)) await rm(file);
    },
    async closeBundle() {
      for (const file of await filesOf(directory)) {
        await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
        await rm(file);
      }
    },
  };
}

export default {
  // The page is at /graphiql and its files below /graphiql/, as the directories in dist/ are; behind a proxy with a
  // path in front of it, too.
  base: "./",
  build: {
    assetsDir: "graphiql",
    assetsInlineLimit: 0,
    emptyOutDir: false,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4096,
    rolldownOptions: {
      // "use client" means nothing here.
      onLog(level, log, report) { if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log); },
    },
  },
  worker: { format: "es" },
  plugins: [gzipped()],
};
