// Chromium, for checks in a browser.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

/** Chromium's program. */
function program() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const paths = process.env.PATH.split(delimiter).flatMap(place => names.map(name => join(place, name)));
  for (const path of [process.env.CHROMIUM, ...paths].filter(Boolean)) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new Error("there is no Chromium: run `make test`, or name the program in CHROMIUM");
}

/** Starts Chromium without a window. */
export function launch() {
  return chromium.launch({
    executablePath: program(),
    // No sandbox works for root; none is needed for pages of our own.
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}
