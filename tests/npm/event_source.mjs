// Subscribes by a browser's EventSource: node event_source.mjs ADDRESS [TOKEN]. Events must be arriving meanwhile. With a
// token, the gateway is one that wants it, which EventSource cannot send.

import assert from "node:assert/strict";
import { launch } from "./chromium.mjs";
import { startProxy } from "./proxy.mjs";

const [address, token] = process.argv.slice(2);

const proxy = await startProxy(address);
const browser = await launch();
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(proxy.url);
  await page.evaluate(() => {
    const query = encodeURIComponent("subscription { syncEvents { position } }");
    const source = new EventSource(`/graphql?query=${query}`);
    globalThis.seen = [];
    source.addEventListener("next", ({ data, lastEventId }) => {
      const { position } = JSON.parse(data).data.syncEvents;
      globalThis.seen.push({ position, lastEventId });
    });
    source.addEventListener("error", () => { globalThis.isClosed = source.readyState === EventSource.CLOSED; });
  });
  if (token) {
    await page.waitForFunction(() => globalThis.isClosed);
    assert.deepEqual(await page.evaluate(() => globalThis.seen), []);
    console.log("EventSource is refused where there are readers, and gives up");
  } else {
    for (const count of [2, 4, 6]) {
      await page.waitForFunction(count => globalThis.seen.length >= count, count);
      proxy.cut();
    }
    const seen = await page.evaluate(() => globalThis.seen);
    const expected = seen.map((_, index) => String(Number(seen[0].position) + index));
    assert.deepEqual(seen.map(({ position }) => position), expected, "each event once, in order");
    assert.deepEqual(seen.map(({ lastEventId }) => lastEventId), expected);
    console.log("EventSource resumes by itself");
  }
} finally {
  await browser.close();
}
process.exit(0);
