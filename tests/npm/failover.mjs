// Follows the log by the examples of docs/clients.md over whatever happens to the gateway's database, until so many events
// have come: node failover.mjs URL TOKEN EVENTS. Each must come once, in order.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { compile } from "./examples.mjs";

const [url, token, events] = process.argv.slice(2);
const filter = { applicationInstances: ["0oalisted"] };

// What browsers have.
globalThis.WebSocket = WebSocket;

/** The positions of all events that match, in the order of the log; asked again where the gateway cannot tell. */
async function inOrder() {
  const query = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter, first: 1000) { nodes { position } } }";
  for (;;) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables: { filter } }),
    });
    const { data } = await answer.json();
    if (data) {
      const positions = data.syncEvents.nodes.map(({ position }) => BigInt(position));
      return positions.sort((one, other) => (one < other ? -1 : 1)).map(String);
    }
    await sleep(100);
  }
}

/** Follows from the start by one of the clients; gives the positions. */
const followers = {
  apollo: ({ connect, follow }) => (onEvent, onRefusal) =>
    follow(connect(url, token), filter, "0").subscribe({ next: onEvent, error: onRefusal }),
  urql: ({ connect, follow }) => (onEvent, onRefusal) => follow(connect(url, token), filter, "0", onEvent, onRefusal),
  Feed: ({ connect, follow }) => (onEvent, onRefusal) => follow(connect(url, token), filter, "0", onEvent, onRefusal),
};

const modules = await compile("generated-failover");
await Promise.all(Object.entries(followers).map(async ([name, adapt]) => {
  const seen = [];
  let refused;
  adapt(modules[name])(({ position }) => seen.push(position), error => { refused = error; });
  const over = Date.now() + 100_000;
  while (seen.length < Number(events)) {
    if (refused) throw new Error(`${name} is refused after ${seen.length} events`, { cause: refused });
    if (Date.now() > over) throw new Error(`${name} has seen ${seen.length} events of ${events}`);
    await sleep(20);
  }
  assert.deepEqual(seen, await inOrder(), `${name} sees each event once, in order`);
  console.log(`${name}: goes on by itself`);
}));
process.exit(0);
