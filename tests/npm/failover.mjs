// Follows the log with each client of docs/clients.md through failures of the gateway's database, until EVENTS events
// have arrived: node failover.mjs URL TOKEN EVENTS. Each event must arrive once, in order.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { compile } from "./examples.mjs";

const [url, token, events] = process.argv.slice(2);
const filter = { applicationInstances: ["0oalisted"] };

// The examples use the global `WebSocket` that browsers have.
globalThis.WebSocket = WebSocket;

/** Returns the positions of all matching events in the order of the log; retries where the gateway answers an error. */
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

/** Functions that follow the log from its start by one of the clients; each calls back with events and errors. */
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
