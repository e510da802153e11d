// Subscribes by a browser's EventSource, with the code of docs/clients.md: node event_source.mjs ADDRESS SEED CUTS [TOKEN].
// Events must be arriving meanwhile. With a token, the gateway is one that wants it, which EventSource cannot send.

import assert from "node:assert/strict";
import { launch } from "./chromium.mjs";
import { inOrder, inTime, survivesCuts } from "./cuts.mjs";
import { script } from "./examples.mjs";
import { startProxy } from "./proxy.mjs";

const [address, seed, cuts, token] = process.argv.slice(2);
const filter = { applicationInstances: ["0oalisted"] };

const browser = await launch();

/** Follows on a page of its own. */
async function follow(proxy, from, onBatch, onRefusal) {
  // The content security policy of the page below lets it connect to nothing.
  const page = await browser.newPage({ bypassCSP: true });
  page.setDefaultTimeout(60_000);
  await page.exposeFunction("onBatch", onBatch);
  await page.exposeFunction("onRefusal", onRefusal);
  // A page that asks for nothing by itself.
  await page.goto(`${proxy.url}readyz`);
  const [wanted, start] = [filter, from].map(value => JSON.stringify(value));
  await page.evaluate(`{ ${script("event_source.js")}; follow("/graphql", ${wanted}, ${start}, onBatch, onRefusal); }`);
  return () => page.close();
}

try {
  if (token) {
    const proxy = await startProxy(address);
    let batches = 0;
    const refused = new Promise(resolve => follow(proxy, null, () => { batches += 1; }, resolve));
    assert.deepEqual(await inTime(refused, 60_000), []);
    assert.equal(batches, 0);
    console.log("EventSource is refused where there are readers, and gives up");
  } else {
    await inTime(survivesCuts({
      name: "EventSource", seed: Number(seed), cuts: Number(cuts),
      // Browsers wait some seconds before they connect again: several follow at once.
      starts: [{ after: "0" }, null, { after: "3" }, { receivedAt: "2020-01-01T00:00:00Z" }, null],
      startProxy: () => startProxy(address), follow,
      inOrder: () => inOrder(`${address}/graphql`, undefined, filter),
    }), 120_000 + 2000 * cuts);
  }
} finally {
  await browser.close();
}
process.exit(0);
