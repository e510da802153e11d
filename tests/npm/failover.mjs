// Follows the log with each client of docs/clients.md through failures of the gateway's database, until EVENTS events
// have arrived: node failover.mjs URL TOKEN EVENTS DIRECTORY [FILE]. Each event must arrive once, in order. The examples are
// compiled in DIRECTORY. FILE is created as soon as the gateway has refused each client's subscription.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { compile } from "./examples.mjs";

const [url, token, events, directory, file] = process.argv.slice(2);
const filter = { applicationInstances: ["0oalisted"] };

/** Names of the clients whose subscriptions were refused. */
const refused = new Set();

function refuse(client) {
  refused.add(client);
  if (refused.size === Object.keys(followers).length) writeFileSync(file, "");
}

// The examples use the global `WebSocket` that browsers have. This one reads its client's name from the URL.
globalThis.WebSocket = class extends WebSocket {
  constructor(address, ...words) {
    super(address, ...words);
    this.on("message", message => {
      if (!file || JSON.parse(message).type !== "error") return;
      refuse(new URL(address).searchParams.get("client"));
    });
  }
};

// This `fetch` notes refusals of the client that subscribes by it. It reads a copy of each answer while the answer arrives,
// since the client gives an answer up as soon as it has read an error.
const ask = globalThis.fetch;
globalThis.fetch = async (address, request) => {
  const answer = await ask(address, request);
  const client = new URL(address).searchParams.get("client");
  if (!file || !client || !answer.body) return answer;
  const [body, copy] = answer.body.tee();
  findErrors(copy, client).catch(() => {});
  return new Response(body, answer);
};

async function findErrors(stream, client) {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.includes('"errors"')) return refuse(client);
  }
}

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

const START = { after: "0" };

/** Functions that follow the log from its start by one of the clients; each calls back with batches and errors. */
const followers = {
  apollo: (client, follow, onBatch, onRefusal) =>
    follow(client, filter, START).subscribe({ next: onBatch, error: onRefusal }),
  urql: (client, follow, onBatch, onRefusal) => follow(client, filter, START, onBatch, onRefusal),
  Feed: (client, follow, onBatch, onRefusal) => follow(client, filter, START, onBatch, onRefusal),
  stream: ({ url, token }, follow, onBatch, onRefusal) => {
    const batches = async () => {
      for await (const batch of follow(url, token, filter, START, new AbortController().signal)) onBatch(batch);
    };
    batches().catch(onRefusal);
  },
};

const modules = await compile(directory);
await Promise.all(Object.entries(followers).map(async ([name, start]) => {
  const { connect = (url, token) => ({ url, token }), follow } = modules[name];
  const seen = [];
  let refusal;
  const onBatch = ({ events }) => seen.push(...events.map(({ position }) => position));
  start(connect(`${url}?client=${name}`, () => token), follow, onBatch, error => { refusal = error; });
  const over = Date.now() + 100_000;
  while (seen.length < Number(events)) {
    if (refusal) throw new Error(`${name} is refused after ${seen.length} events`, { cause: refusal });
    if (Date.now() > over) throw new Error(`${name} has seen ${seen.length} events of ${events}`);
    await sleep(20);
  }
  assert.deepEqual(seen, await inOrder(), `${name} sees each event once, in order`);
  console.log(`${name}: goes on by itself`);
}));
process.exit(0);
