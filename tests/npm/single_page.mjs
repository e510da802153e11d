// Runs the single-page application of docs/clients.md, with its backend, on another origin than the gateway's:
// node single_page.mjs ADDRESS DIRECTORY PORT INSTANCE. The gateway trusts the key that the backend writes into the directory, and
// lets its tokens see the instance. Events must be arriving meanwhile.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { launch } from "./chromium.mjs";
import { inOrder, inTime } from "./cuts.mjs";
import { compile, script } from "./examples.mjs";

const [address, directory, port, instance] = process.argv.slice(2);
const origin = `http://127.0.0.1:${port}`;

/** The seconds for which a token is valid. */
const TOKEN_SECONDS = 6;

async function until(check) {
  while (!(await check())) await sleep(50);
}

await compile("generated-single-page");
copyFileSync(join(import.meta.dirname, "generated-single-page/built/app.js"), join(directory, "app.js"));
writeFileSync(join(directory, "page.html"), script("page.html"));
const named = script("backend.mjs").replace("0oa1gjh63g214q0Hq0g4", instance);
assert.ok(named.includes(instance), "the backend's person may see the instance");
writeFileSync(join(directory, "backend.mjs"), named);
const env = { ...process.env, ORIGIN: origin, GATEWAY: address, TOKEN_SECONDS: `${TOKEN_SECONDS}` };
const backend = spawn(process.execPath, ["backend.mjs"], { cwd: directory, env, stdio: "inherit" });
const browser = await launch();
try {
  await inTime(until(() => fetch(origin).then(({ ok }) => ok, () => false)), 30_000);
  const page = await browser.newPage();
  const sockets = [];
  page.on("websocket", socket => {
    const seen = { renewals: 0, isClosed: false };
    sockets.push(seen);
    socket.on("framereceived", ({ payload }) => {
      const message = JSON.parse(payload);
      if (message.type === "pong" && message.payload?.expiresAt) seen.renewals += 1;
    });
    socket.on("close", () => { seen.isClosed = true; });
  });
  await page.goto(origin);

  // Three renewals last for longer than the first token does.
  await inTime(until(() => sockets[0]?.renewals >= 3), 60_000);
  assert.equal(sockets.length, 1, "the connection stands while its token is renewed");

  // Without new tokens, the connection ends with the last one, and the page comes back when there are some again.
  await page.route("**/token", route => route.abort());
  await inTime(until(() => sockets[0].isClosed), 60_000);
  await sleep(500);
  await page.unroute("**/token");
  await inTime(until(() => sockets.some(({ isClosed, renewals }) => !isClosed && renewals >= 1)), 60_000);

  const shown = () => page.locator("#events li").evaluateAll(items => items.map(item => item.dataset.position).reverse());
  const { length } = await shown();
  await inTime(until(async () => (await shown()).length > length), 60_000);
  const positions = await shown();
  const token = await page.evaluate(async () => (await fetch("/token", { method: "POST" })).text());
  const all = await inOrder(`${address}/graphql`, token);
  assert.deepEqual(positions, all.slice(0, positions.length), "the page shows each event once, in order");
  console.log(`the page shows ${positions.length} events over ${sockets.length} connections`);

  // Another site's page gets no token from the backend.
  const refused = await fetch(`${origin}/token`, { method: "POST", headers: { "sec-fetch-site": "cross-site" } });
  assert.equal(refused.status, 401);
} finally {
  await browser.close();
  backend.kill();
}
process.exit(0);
